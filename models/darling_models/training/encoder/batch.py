"""One step's groups as tensors: whole texts in windows, and where each token's vector is found."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypedDict

import numpy as np
import torch

from darling_models.embedded.encoder import TextEncoder, Vectors
from darling_models.embedded.late_interaction import IN_PROMPT
from darling_models.protocol import IntArray
from darling_models.training.labelled_groups import LabelledGroup

MAX_TOKENS = 512
"""Tokens read of a text, as when the built-in encoder was tuned; most rollouts are shorter."""
SHELVES = (64, 128)
"""Windows up to these lengths run beside their like, so that padding costs little."""


class Batch(TypedDict):
    windows: list[tuple[torch.Tensor, torch.Tensor]]
    """(ids, mask), both (rows, length), a shelf at a time."""
    places: torch.Tensor
    """Where each token, text after text, is among the windows' positions laid end to end, (t,)."""
    lengths: list[int]
    """Tokens of each text."""
    idf: torch.Tensor
    """Inverse document frequency of each token, (t,)."""
    novelty: torch.Tensor
    """`IN_PROMPT` for tokens of the prompt, else 1, (t,)."""
    pairs: list[tuple[int, int, torch.Tensor]]
    """Per group: its first text, the end of its texts, and pairs among them (m, 2)."""
    labels: torch.Tensor
    """How probable it is that each pair is equivalent, shape (all pairs,)."""
    labelers: torch.Tensor
    """Index of each pair's labeler, shape (all pairs,)."""
    weights: torch.Tensor
    """How much each pair counts in the loss, shape (all pairs,); together 1."""


class Collator:
    """Groups to a `Batch`; tokenizations are kept, since every text comes back."""

    def __init__(
        self, encoder: TextEncoder, idf: Vectors, labelers: Mapping[str | None, int]
    ) -> None:
        self._encoder, self._idf, self._labelers = encoder, idf, labelers
        self._known: dict[str, IntArray] = {}

    def __call__(self, steps: Sequence[Sequence[LabelledGroup]]) -> Batch:
        groups = [group for step in steps for group in step]
        ids = [self._tokens(text)[:MAX_TOKENS] for group in groups for text in group.texts]
        held = [self._tokens(group.prompt) for group in groups for _ in group.texts]
        shelves, places = self._shelve(ids)
        tokens = np.concatenate(ids)
        in_prompt = [np.isin(own, prompt) for own, prompt in zip(ids, held, strict=True)]
        novelty = np.where(np.concatenate(in_prompt), IN_PROMPT, 1.0).astype(np.float32)
        ends = np.cumsum([len(group.texts) for group in groups]).tolist()
        nobody = self._labelers[None]  # also the bias for a labeler who is in no training row
        labelers = [self._labelers.get(group.labeler, nobody) for group in groups]
        targets = np.concatenate([group.target for group in groups])
        sizes = [len(group.pairs) for group in groups]
        return Batch(
            windows=shelves,
            places=torch.from_numpy(np.concatenate(places)),
            lengths=[len(own) for own in ids],
            idf=torch.from_numpy(self._idf[tokens]),
            novelty=torch.from_numpy(novelty),
            pairs=[
                (end - len(group.texts), end, torch.from_numpy(group.pairs))
                for group, end in zip(groups, ends, strict=True)
            ],
            labels=torch.from_numpy(targets.astype(np.float32)),
            labelers=torch.from_numpy(np.repeat(labelers, sizes)),
            weights=torch.from_numpy(_weights(groups)),
        )

    def _tokens(self, text: str) -> IntArray:
        if text not in self._known:
            self._known[text] = self._encoder.tokenize([text])[0].ids
        return self._known[text]

    def _shelve(
        self, texts: Sequence[IntArray]
    ) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], list[IntArray]]:
        """Padded windows by length, and each token's position among them laid end to end."""
        windows = [
            (row, window) for row, ids in enumerate(texts) for window in self._encoder.windows(ids)
        ]
        windows.sort(key=lambda entry: len(entry[1].sequence))
        places = [np.zeros(len(ids), dtype=np.int64) for ids in texts]
        shelves = []
        laid = 0
        edges = [-1, *SHELVES, np.inf]
        for low, high in pairwise(edges):
            shelf = [entry for entry in windows if low < len(entry[1].sequence) <= high]
            if not shelf:
                continue
            length = len(shelf[-1][1].sequence)
            ids = np.full((len(shelf), length), self._encoder.pad, dtype=np.int64)
            mask = np.zeros((len(shelf), length), dtype=np.int64)
            for k, (row, window) in enumerate(shelf):
                size = len(window.sequence)
                ids[k, :size], mask[k, :size] = window.sequence, 1
                first = laid + k * length + window.offset
                places[row][window.own : window.end] = np.arange(
                    first, first + window.end - window.own
                )
            shelves.append((torch.from_numpy(ids), torch.from_numpy(mask)))
            laid += ids.size
        return shelves, places


def _weights(groups: Sequence[LabelledGroup]) -> Vectors:
    """Each pair's share of its group's weight, divided by that of all groups."""
    shares = np.concatenate([np.full(len(g.pairs), g.weight / len(g.pairs)) for g in groups])
    weights: Vectors = (shares / shares.sum()).astype(np.float32)
    return weights
