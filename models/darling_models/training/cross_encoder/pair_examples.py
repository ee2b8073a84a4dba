"""What a cross-encoder is tuned on: labelled pairs as weighted examples, in even batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from darling_models.cross_encoder.pair_input import PairEncoder
from darling_models.labelled_data import HumanPair, TeacherGroup
from darling_models.protocol import all_pairs


@dataclass(frozen=True, slots=True)
class Example:
    a: str
    b: str
    target: float
    weight: float


def class_weights(pairs: Sequence[HumanPair]) -> dict[bool, float]:
    """Weights by label, with which both labels count the same in total; 1 on average over pairs."""
    similar = sum(pair.similar for pair in pairs)
    return {True: len(pairs) / (2 * similar), False: len(pairs) / (2 * (len(pairs) - similar))}


def both_orders(
    pairs: Sequence[HumanPair], smoothing: float, weights: dict[bool, float]
) -> list[Example]:
    return [
        Example(a, b, _smooth(pair.similar, smoothing), weights[pair.similar])
        for pair in pairs
        for a, b in ((pair.a, pair.b), (pair.b, pair.a))
    ]


def sampled(
    groups: Sequence[TeacherGroup],
    count: int,
    smoothing: float,
    random: np.random.Generator,
) -> list[Example]:
    """A sample of the groups' pairs of different texts, in both orders by turns."""
    everything = [
        (group.texts[i], group.texts[j], bool(group.partition[i] == group.partition[j]))
        for group in groups
        for i, j in all_pairs(len(group.texts)).tolist()
        if group.texts[i] != group.texts[j]
    ]
    sample = random.permutation(len(everything))[:count].tolist()
    return [
        Example(a, b, _smooth(same, smoothing), 1.0)
        if turn % 2
        else Example(b, a, _smooth(same, smoothing), 1.0)
        for turn, (a, b, same) in enumerate(everything[k] for k in sample)
    ]


def _smooth(similar: bool, by: float) -> float:
    return 1 - by if similar else by


def in_batches(
    examples: Sequence[Example], size: int, random: np.random.Generator | None
) -> list[list[Example]]:
    """Batches of about equal length within windows of 32, in random order where there is one."""
    order = np.arange(len(examples)) if random is None else random.permutation(len(examples))
    batches = []
    for start in range(0, len(order), size * 32):
        window = sorted(order[start : start + size * 32], key=lambda k: _length(examples[k]))
        batches += [
            [examples[k] for k in window[at : at + size]] for at in range(0, len(window), size)
        ]
    if random is not None:
        batches = [batches[k] for k in random.permutation(len(batches))]
    return batches


def _length(example: Example) -> int:
    return len(example.a) + len(example.b)


@dataclass(frozen=True, slots=True)
class PairCollator:
    encoder: PairEncoder
    pad: int
    segments: bool
    """Whether the model tells the two texts apart by segment ids."""

    def __call__(self, batches: Sequence[Sequence[Example]]) -> dict[str, torch.Tensor]:
        batch = [example for one in batches for example in one]
        encoded = self.encoder.encode([(example.a, example.b) for example in batch])
        sequences = [pair.sequence for pair in encoded]
        longest = max(sequence.shape[1] for sequence in sequences)
        inputs = np.zeros((3, len(batch), longest), dtype=np.int64)
        inputs[0] = self.pad
        for row, sequence in enumerate(sequences):
            inputs[:2, row, : sequence.shape[1]] = sequence
            inputs[2, row, : sequence.shape[1]] = 1
        ids, types, mask = torch.from_numpy(inputs)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            **({"token_type_ids": types} if self.segments else {}),
            "labels": torch.tensor([[example.target, example.weight] for example in batch]),
        }
