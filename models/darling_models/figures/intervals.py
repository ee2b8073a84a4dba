"""Figures with their 95 % intervals.

Intervals are percentile bootstraps, widened where there are few rows. Rows of one prompt, such as
several models' answers to it, are not independent, so they are resampled together, as one cluster.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from darling_models.protocol import FloatArray, IntArray

CONFIDENCE = 0.95
"""Share of intervals that hold the true figure."""
FEW = 10
"""Clusters below which fewer intervals than `CONFIDENCE` hold the true mean, because a bootstrap
never leaves the range of its data: in simulations of success rates 0.90 to 0.96 of them at 8, 0.82
to 0.93 at 5, 0.63 to 0.80 at 3 (docs/evaluation.md)."""
RESAMPLES = 1000
"""Resamples of a figure that costs much, such as an AUC; the ends of its interval then vary by some
2 % of its width."""
MEAN_RESAMPLES = 2000
"""Resamples of a mean, which costs little."""
BATCH_PROMPTS = 2**20
"""Prompts drawn at a time for a mean, which bounds the memory: 8 MB for each array."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval; NaN for what could not be measured."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return format(self, ".3f")

    def __format__(self, spec: str) -> str:
        """`f"{interval:.3f}"` is `0.500 [0.400, 0.600]`; a figure without interval stands alone."""
        if math.isnan(self.value):
            return "-"
        if math.isnan(self.low):
            return format(self.value, spec)
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def as_dict(self) -> dict[str, float | None]:
        """The figures for JSON, with None for NaN."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(value) else value for name, value in values.items()}


UNMEASURED = Interval(math.nan, math.nan, math.nan)


def bootstrap(
    measure: Callable[[IntArray], Sequence[float]],
    count: int,
    clusters: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """The figures that `measure` gives for rows, by index, each with its interval.

    Resamples the rows 0 to `count` - 1, or with `clusters`, a name for each row, whole clusters. A
    single one has no interval. Equal input gives equal intervals: the seed is fixed.
    """
    random = np.random.default_rng(0)
    members = None if clusters is None else _members(clusters)
    size = count if members is None else len(members)
    point = measure(np.arange(count))
    if size < 2:
        return [Interval(float(value), math.nan, math.nan) for value in point]
    drawn = []
    for _ in range(resamples):
        which = random.integers(0, size, size)
        rows = which if members is None else np.concatenate([members[k] for k in which])
        drawn.append(measure(rows))
    with warnings.catch_warnings():
        # A column of NaN, such as the AUC of pairs that are all similar, stays NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanquantile(np.asarray(drawn), quantiles(size), axis=0)
    return [
        Interval(float(v), float(a), float(b)) for v, a, b in zip(point, low, high, strict=True)
    ]


def quantiles(clusters: int) -> tuple[float, float]:
    """Ends of an interval among the figures resampled from so many clusters, two at least.

    They lie as far out as Student's t, so that an interval of few clusters is wide enough: a plain
    percentile interval of 5 prompts holds the true mean in 0.84 of cases. Source: the expanded
    percentile interval of Hesterberg (2015), arXiv 1411.5279.
    """
    t = stats.t.ppf((1 + CONFIDENCE) / 2, clusters - 1)
    tail = float(stats.norm.sf(t * math.sqrt(clusters / (clusters - 1))))
    return tail, 1 - tail


def mean_interval(values: Sequence[float], prompts: Sequence[str]) -> Interval:
    """The mean of the values that are numbers, its interval resampled by prompt.

    NaN without a number, and without an interval for a single prompt.
    """
    _, sums, counts = _by_prompt(values, prompts)
    if len(sums) == 0:
        return UNMEASURED
    mean = float(sums.sum() / counts.sum())
    if len(sums) == 1:
        return Interval(mean, math.nan, math.nan)
    random = np.random.default_rng(0)
    rows = max(BATCH_PROMPTS // len(sums), 1)
    drawn = []
    for start in range(0, MEAN_RESAMPLES, rows):
        shape = min(rows, MEAN_RESAMPLES - start), len(sums)
        which = random.integers(0, len(sums), shape)
        drawn.append(sums[which].sum(axis=1) / counts[which].sum(axis=1))
    low, high = np.quantile(np.concatenate(drawn), quantiles(len(sums)))
    return Interval(mean, float(low), float(high))


def prompt_means(values: Sequence[float], prompts: Sequence[str]) -> dict[str, float]:
    """Each prompt's mean over its rows; prompts without a number are left out."""
    names, sums, counts = _by_prompt(values, prompts)
    return dict(zip(names, (sums / counts).tolist(), strict=True))


def student_interval(values: Sequence[float]) -> Interval:
    """The mean of a few independent runs, its interval by Student's t; endless for a single run."""
    mean, n = fmean(values), len(values)
    if n < 2:
        return Interval(mean, -math.inf, math.inf)
    half = float(stats.t.ppf(0.975, n - 1)) * stdev(values) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def _members(clusters: Sequence[str]) -> list[IntArray]:
    """Rows of each cluster, the clusters by first occurrence."""
    rows: dict[str, list[int]] = {}
    for row, cluster in enumerate(clusters):
        rows.setdefault(cluster, []).append(row)
    return [np.asarray(members, dtype=np.int64) for members in rows.values()]


def _by_prompt(
    values: Sequence[float], prompts: Sequence[str]
) -> tuple[list[str], FloatArray, FloatArray]:
    """(names, sums, counts) of the prompts with a number, in the order of their names."""
    numbers = np.asarray(values, dtype=np.float64)
    known: NDArray[np.bool_] = ~np.isnan(numbers)
    kept = [prompt for prompt, k in zip(prompts, known, strict=True) if k]
    names = sorted(set(kept))
    place = {name: k for k, name in enumerate(names)}
    which = np.asarray([place[prompt] for prompt in kept], dtype=np.int64)
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    np.add.at(sums, which, numbers[known])
    np.add.at(counts, which, 1.0)
    return names, sums, counts
