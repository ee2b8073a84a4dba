"""The paired comparison of two runs in one figure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darling_models.figures.intervals import Interval, mean_interval
from darling_models.protocol import FloatArray

PERMUTATIONS = 9_999
"""Permutations drawn where there are too many to try all: 10,000 with the data itself, so p-values
start at 0.0001."""
BATCH_SIGNS = 2**22
"""Signs drawn at a time, which bounds the memory: 32 MB as float64."""
ROUNDING = 1e-9
"""Largest difference of rounding between two values of a figure: this fraction of the larger, and
of 1 where both are smaller. Sums of a few thousand terms of float64 are off by some 1e-13."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second of two runs minus the first, over the prompts that both have."""

    difference: Interval
    p_value: float
    """Two-sided, of a permutation test that swaps the runs prompt by prompt."""
    prompts: int

    @property
    def least_p(self) -> float:
        """The smallest p-value that so many prompts can give."""
        return max(2.0 ** (1 - self.prompts), 1 / (PERMUTATIONS + 1))


def compare(first: Mapping[str, float], second: Mapping[str, float]) -> Comparison:
    """How two runs differ in a figure, from its value for each prompt.

    Prompts that only one of the runs has, or whose value is NaN in one, are left out. Differences
    of rounding count as none.
    """
    shared = sorted(
        prompt
        for prompt in first.keys() & second.keys()
        if not math.isnan(first[prompt]) and not math.isnan(second[prompt])
    )
    before = np.asarray([first[prompt] for prompt in shared], dtype=np.float64)
    after = np.asarray([second[prompt] for prompt in shared], dtype=np.float64)
    scale = np.maximum(np.maximum(np.abs(before), np.abs(after)), 1.0)
    gains = np.where(np.abs(after - before) <= ROUNDING * scale, 0.0, after - before)
    return Comparison(mean_interval(gains.tolist(), shared), p_value(gains), len(shared))


def p_value(gains: FloatArray) -> float:
    """P(a mean at least as far from 0 when each gain's sign is drawn by lot); NaN without gains.

    Exact over all signs where there are at most as many as `PERMUTATIONS`, else drawn with a fixed
    seed. Memory does not grow with the number of gains beyond `BATCH_SIGNS`.
    """
    if len(gains) == 0:
        return math.nan
    moved = gains[gains != 0.0]  # a gain of 0 is the same with either sign
    reached = abs(float(moved.sum())) - 1e-12 * float(np.abs(moved).sum())
    exact = 2 ** len(moved) <= PERMUTATIONS
    hits = tried = 0 if exact else 1  # what is drawn does not hold the data itself
    for swapped in _every(len(moved)) if exact else _drawn(len(moved)):
        totals = moved.sum() - 2.0 * (swapped @ moved)
        hits += int(np.count_nonzero(np.abs(totals) >= reached))
        tried += len(swapped)
    return hits / tried


def _every(count: int) -> Iterator[NDArray[np.int8]]:
    """All ways to swap `count` gains, shape (2^count, count)."""
    yield (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(np.int8)


def _drawn(count: int) -> Iterator[NDArray[np.int8]]:
    """`PERMUTATIONS` ways to swap `count` gains, in batches of shape (b, count)."""
    random = np.random.default_rng(0)
    size = max(BATCH_SIGNS // count, 1)
    for start in range(0, PERMUTATIONS, size):
        rows = min(size, PERMUTATIONS - start)
        yield random.integers(0, 2, (rows, count), dtype=np.int8)
