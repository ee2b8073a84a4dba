"""Figures over prompts: means with bootstrap intervals, and the paired comparison of two runs.

Prompts are resampled, not rows: rows of one prompt, such as several models' answers to it, come and
go together.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, permutation_test

from darling_service.rewards.exact import FloatArray

RESAMPLES = 2000
PERMUTATIONS = 9999


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over rows with its 95 % interval; NaN where nothing was measured."""

    mean: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Second run minus first, over the prompts of both."""

    mean: float
    low: float
    high: float
    p_value: float
    """Two-sided, of a permutation test that swaps the runs prompt by prompt."""
    prompts: int


def estimate(values: Sequence[float], prompts: Sequence[str]) -> Estimate:
    """The mean over rows whose value is a number, with a percentile bootstrap over prompts."""
    sums, counts = _by_prompt(values, prompts)
    if len(sums) == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    mean = float(sums.sum() / counts.sum())
    low, high = _interval(sums, counts)
    return Estimate(mean, low, high, int(counts.sum()))


def compare(first: Mapping[str, float], second: Mapping[str, float]) -> Difference:
    """Of each prompt's figure in two runs. Prompts that only one of them has are left out."""
    shared = sorted(first.keys() & second.keys())
    gains = np.asarray([second[p] - first[p] for p in shared], dtype=np.float64)
    gains = gains[~np.isnan(gains)]
    if len(gains) == 0:
        return Difference(np.nan, np.nan, np.nan, np.nan, 0)
    low, high = _interval(gains, np.ones(len(gains)))
    if len(gains) < 2 or not gains.any():
        p_value = 1.0
    else:
        p_value = float(
            permutation_test(
                (gains,),
                lambda x, axis: np.mean(x, axis=axis),
                permutation_type="samples",
                vectorized=True,
                n_resamples=PERMUTATIONS,
                random_state=np.random.default_rng(0),
            ).pvalue
        )
    return Difference(float(gains.mean()), low, high, p_value, len(gains))


def prompt_means(values: Sequence[float], prompts: Sequence[str]) -> dict[str, float]:
    """Each prompt's mean over its rows; prompts without a number are left out."""
    names = sorted({p for p, v in zip(prompts, values, strict=True) if not np.isnan(v)})
    sums, counts = _by_prompt(values, prompts)
    return dict(zip(names, (sums / counts).tolist(), strict=True))


def _by_prompt(values: Sequence[float], prompts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Sum and number of the values of each prompt, in the order of their names."""
    known = np.asarray([not np.isnan(v) for v in values], dtype=np.bool_)
    _, which = np.unique(np.asarray(prompts, dtype=object)[known].astype(str), return_inverse=True)
    numbers = np.asarray(values, dtype=np.float64)[known]
    counts = np.bincount(which)
    sums = np.zeros(len(counts))
    np.add.at(sums, which, numbers)
    return sums, counts.astype(np.float64)


def _interval(sums: FloatArray, counts: FloatArray) -> tuple[float, float]:
    if len(sums) < 2:
        return np.nan, np.nan
    with warnings.catch_warnings():
        # Of a constant, whose interval is the constant itself.
        warnings.simplefilter("ignore")
        found = bootstrap(
            (sums, counts),
            lambda s, c, axis: s.sum(axis=axis) / c.sum(axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
    return float(found.low), float(found.high)
