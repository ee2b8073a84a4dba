"""Packs of sequences on a GPU: how many rows they may have, and which sequences they hold."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from darling_models.protocol import IntArray

SIZES = tuple(2**power for power in range(8, 17))
"""Rows that a pack may have, 256 to 65,536. A GPU is idle with few, and its kernels depend on their
number, so that packs are filled up to one of these."""
TRIAL_LENGTHS = (5, 60, 180)
"""Lengths of the sequences that are tried in packs of every size."""


class NoPackSize(Exception):
    """In packs of the largest size, a sequence's bits depend on its company."""


@dataclass(frozen=True, slots=True)
class PackSizes:
    """Numbers of rows that packs may have, ascending."""

    sizes: Sequence[int]
    step: int = 1
    """Every sequence takes a multiple of so many rows."""

    @classmethod
    def alike(
        cls,
        run: Callable[[Sequence[IntArray], Self], Tensor],
        vocabulary: int,
        sizes: Sequence[int] = SIZES,
        step: int = 1,
    ) -> Self:
        """Those in which `run` gives sequences the bits that it gives in the largest: together, in
        the other order, and each alone.

        `run` returns the states (rows, hidden) of sequences of token ids in a pack of given sizes.
        Raises `NoPackSize` if the largest is not alike to itself.
        """
        source = np.random.default_rng(0)
        trial = [source.integers(0, vocabulary, length) for length in TRIAL_LENGTHS]
        companies = [trial, trial[::-1], *([sequence] for sequence in trial)]

        def states(company: Sequence[IntArray], size: int) -> list[Tensor]:
            lengths = [len(sequence) for sequence in company]
            return list(torch.split(run(company, cls([size], step))[: sum(lengths)], lengths))

        def same(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
            return all(map(torch.equal, some, others))

        largest = states(trial, sizes[-1])
        expected = [largest, largest[::-1], *([one] for one in largest)]
        alike = [
            size
            for size in sizes
            if all(
                same(states(company, size), own)
                for company, own in zip(companies, expected, strict=True)
            )
        ]
        if sizes[-1] not in alike:
            raise NoPackSize("matrix or attention kernels here round by what is in a pack")
        return cls(alike, step)

    def taken(self, length: int) -> int:
        """Rows that a sequence of so many tokens takes."""
        return -(-length // self.step) * self.step

    def rows(self, tokens: int) -> int:
        """Rows of the smallest pack that holds so many tokens; for more, those of several."""
        fitting = next((size for size in self.sizes if size >= tokens), self.sizes[-1])
        return -(-tokens // fitting) * fitting

    def packs(self, sequences: Iterable[IntArray]) -> Iterator[tuple[range, list[IntArray]]]:
        """Indices and sequences (channels, length) of each pack, in the order that they come in. A
        pack is yielded as soon as it is full, while the sequences of the next may not be made yet.
        """
        start = tokens = 0
        pack: list[IntArray] = []
        for sequence in sequences:
            length = self.taken(sequence.shape[1])
            if pack and tokens + length > self.sizes[-1]:
                yield range(start, start + len(pack)), pack
                start, tokens, pack = start + len(pack), 0, []
            pack.append(sequence)
            tokens += length
        if pack:
            yield range(start, start + len(pack)), pack

    def __str__(self) -> str:
        return f"packs of {' or '.join(map(str, self.sizes))} rows"
