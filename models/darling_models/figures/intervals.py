"""Figures with their 95 % intervals, and the paired comparison of two runs.

Intervals are percentile bootstraps. Rows of one prompt, such as several models' answers to it, are
not independent, so they are resampled together, as one cluster.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from darling_models.protocol import FloatArray, IntArray

PERCENTILES = (2.5, 97.5)
"""Ends of a 95 % interval among the resampled figures."""
RESAMPLES = 1000
"""Resamples of a figure that costs much, such as an AUC; the ends of its interval then vary by some
2 % of its width."""
MEAN_RESAMPLES = 2000
"""Resamples of a mean, which costs little."""
PERMUTATIONS = 9999
"""Permutations of a paired comparison: 10,000 with the data itself, so p-values start at 0.0002."""


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second of two runs minus the first, over the prompts that both have."""

    difference: Interval
    p_value: float
    """Two-sided, of a permutation test that swaps the runs prompt by prompt."""
    prompts: int


UNMEASURED = Interval(math.nan, math.nan, math.nan)


def bootstrap(
    measure: Callable[[IntArray], Sequence[float]],
    count: int,
    clusters: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """The figures that `measure` gives for rows, by index, each with its interval.

    Resamples the rows 0 to `count` - 1, or with `clusters`, a name for each row, whole clusters.
    Equal input gives equal intervals: the seed is fixed.
    """
    random = np.random.default_rng(0)
    members = None if clusters is None else _members(clusters)
    size = count if members is None else len(members)
    drawn = []
    for _ in range(resamples):
        which = random.integers(0, size, size)
        rows = which if members is None else np.concatenate([members[k] for k in which])
        drawn.append(measure(rows))
    with warnings.catch_warnings():
        # A column of NaN, such as the AUC of pairs that are all similar, stays NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(np.asarray(drawn), PERCENTILES, axis=0)
    point = measure(np.arange(count))
    return [
        Interval(float(v), float(a), float(b)) for v, a, b in zip(point, low, high, strict=True)
    ]


def mean_interval(values: Sequence[float], prompts: Sequence[str]) -> Interval:
    """The mean of the values that are numbers, its interval resampled by prompt.

    NaN without a number, and without an interval for a single prompt.
    """
    _, sums, counts = _by_prompt(values, prompts)
    if len(sums) == 0:
        return UNMEASURED
    if len(sums) == 1:
        return Interval(float(sums[0] / counts[0]), math.nan, math.nan)
    (interval,) = bootstrap(
        lambda of: [float(sums[of].sum() / counts[of].sum())], len(sums), resamples=MEAN_RESAMPLES
    )
    return interval


def prompt_means(values: Sequence[float], prompts: Sequence[str]) -> dict[str, float]:
    """Each prompt's mean over its rows; prompts without a number are left out."""
    names, sums, counts = _by_prompt(values, prompts)
    return dict(zip(names, (sums / counts).tolist(), strict=True))


def compare(first: Mapping[str, float], second: Mapping[str, float]) -> Comparison:
    """How two runs differ in a figure, from its value for each prompt.

    Prompts that only one of the runs has are left out.
    """
    shared = sorted(first.keys() & second.keys())
    gains = np.asarray([second[prompt] - first[prompt] for prompt in shared], dtype=np.float64)
    known = ~np.isnan(gains)
    gains = gains[known]
    difference = mean_interval(gains.tolist(), [p for p, k in zip(shared, known, strict=True) if k])
    return Comparison(difference, _p_value(gains), len(gains))


def student_interval(values: Sequence[float]) -> Interval:
    """The mean of a few independent runs, its interval by Student's t; endless for a single run."""
    mean, n = fmean(values), len(values)
    if n < 2:
        return Interval(mean, -math.inf, math.inf)
    half = float(stats.t.ppf(0.975, n - 1)) * stdev(values) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def _p_value(gains: FloatArray) -> float:
    if len(gains) == 0:
        return math.nan
    if len(gains) == 1 or not gains.any():
        return 1.0
    test = stats.permutation_test(
        (gains,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        random_state=np.random.default_rng(0),
    )
    return float(test.pvalue)


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
