"""Figures with 95 % bootstrap intervals."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from darling_models.protocol import IntArray

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    measure: Callable[[IntArray], list[float]],
    rows: IntArray,
    clusters: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """Intervals of `measure`, from resampled rows, or whole clusters of rows when given."""
    random = np.random.default_rng(0)
    members = [[row] for row in rows.tolist()]
    if clusters is not None:
        by: dict[str, list[int]] = {}
        for row, cluster in zip(rows.tolist(), clusters, strict=True):
            by.setdefault(cluster, []).append(row)
        members = list(by.values())
    drawn = []
    for _ in range(resamples):
        chosen = random.integers(0, len(members), len(members))
        drawn.append(measure(np.asarray([row for k in chosen for row in members[k]])))
    with warnings.catch_warnings():
        # A column of NaN, such as the AUC of pairs that are all similar, stays NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(np.asarray(drawn), [2.5, 97.5], axis=0)
    point = measure(rows)
    return [
        Interval(float(v), float(a), float(b)) for v, a, b in zip(point, low, high, strict=True)
    ]
