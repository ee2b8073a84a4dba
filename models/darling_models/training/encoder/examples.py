"""What the encoder is tuned on: groups of texts with labelled pairs, in steps of mixed origin.

A group's texts are encoded once and all its labelled pairs share them, so the 45 pairs of a
teacher's group cost no more than its ten texts.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darling_models.labelled_data import HumanPair, TeacherGroup
from darling_models.protocol import ONE_PAIR, IntArray
from darling_models.training.augment.short_answers import MadeUpPairs, corrected


@dataclass(frozen=True, slots=True)
class LabelledGroup:
    """Texts to one prompt, some pairs of which are labelled."""

    prompt: str
    texts: tuple[str, ...]
    pairs: IntArray
    """Shape (m, 2)."""
    same: NDArray[np.bool_]
    """Shape (m,)."""
    labeler: str | None
    """The person who labelled the pairs; None for a teacher or made-up pairs."""


@dataclass(frozen=True, slots=True)
class LabelledGroups:
    """Labelled groups, apart by who labelled them."""

    teacher: list[LabelledGroup]
    human: list[LabelledGroup]
    made_up: list[LabelledGroup]

    def without(self, prompts: Container[str]) -> "LabelledGroups":
        return LabelledGroups(
            *(
                [group for group in groups if group.prompt not in prompts]
                for groups in (self.teacher, self.human, self.made_up)
            )
        )


def from_people(pairs: Sequence[HumanPair]) -> list[LabelledGroup]:
    return [
        LabelledGroup(p.prompt, (p.a, p.b), ONE_PAIR, np.asarray([p.similar]), p.labeler)
        for p in pairs
    ]


def from_teacher(
    groups: Sequence[TeacherGroup], pairs: Sequence[IntArray], common: frozenset[str]
) -> list[LabelledGroup]:
    """`pairs`: of each group's different texts; labels of short ones are corrected."""
    return [
        LabelledGroup(group.prompt, group.texts, at, corrected(group, at, common), None)
        for group, at in zip(groups, pairs, strict=True)
        if len(at)
    ]


def from_phrases(made: Sequence[MadeUpPairs]) -> list[LabelledGroup]:
    """One group per prompt, of the made-up phrases."""
    groups = []
    for pairs in made:
        texts = tuple(text for pair in pairs.texts for text in pair)
        at = np.arange(len(texts), dtype=np.int64).reshape(-1, 2)
        groups.append(LabelledGroup(pairs.prompt, texts, at, np.asarray(pairs.same), None))
    return groups


def steps(
    origins: Sequence[tuple[Sequence[LabelledGroup], int]],
    count: int,
    random: np.random.Generator,
) -> list[list[LabelledGroup]]:
    """`count` steps; each takes so many groups of each origin, in rounds of shuffled order."""
    streams = [_rounds(groups, count * each, random) for groups, each in origins]
    return [
        [
            group
            for stream, (_, each) in zip(streams, origins, strict=True)
            for group in stream[step * each : (step + 1) * each]
        ]
        for step in range(count)
    ]


def _rounds(
    groups: Sequence[LabelledGroup], wanted: int, random: np.random.Generator
) -> list[LabelledGroup]:
    if not groups:
        return []
    order: list[int] = []
    while len(order) < wanted:
        order += random.permutation(len(groups)).tolist()
    return [groups[k] for k in order[:wanted]]
