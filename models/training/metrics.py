"""How good probabilities and partitions are, with bootstrap intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, f1_score, roc_auc_score

from models.partition import partition
from models.protocol import FloatArray, IntArray, Linkage
from models.training.data import TeacherGroup

BINS = 10
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def pair_metrics(
    probabilities: FloatArray, decisions: NDArray[np.bool_], similar: NDArray[np.bool_]
) -> dict[str, Interval]:
    """AUC, accuracy, balanced accuracy, F1 and ECE of labelled pairs, resampled by pair."""

    def measure(of: IntArray) -> list[float]:
        y, said = similar[of], decisions[of]
        balanced = (said[y].mean() + (~said[~y]).mean()) / 2
        return [
            roc_auc_score(y, probabilities[of]),
            (said == y).mean(),
            balanced,
            f1_score(y, said),
            expected_calibration_error(probabilities[of], y),
        ]

    names = ("auc", "accuracy", "balanced_accuracy", "f1", "ece")
    return dict(zip(names, _bootstrap(measure, np.arange(len(similar))), strict=True))


def expected_calibration_error(probabilities: FloatArray, similar: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and frequency over ten even bins, weighted by their size."""
    bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    gaps = [
        abs(similar[bins == b].mean() - probabilities[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def grouped_auc(
    probabilities: Sequence[FloatArray], same: Sequence[NDArray[np.bool_]], prompts: Sequence[str]
) -> Interval:
    """AUC over all pairs of all groups, resampled by prompt."""

    def measure(of: IntArray) -> list[float]:
        return [
            roc_auc_score(
                np.concatenate([same[i] for i in of]),
                np.concatenate([probabilities[i] for i in of]),
            )
        ]

    return _bootstrap(measure, np.arange(len(prompts)), prompts, resamples=100)[0]


def partition_metrics(
    matrices: Sequence[FloatArray],
    groups: Sequence[TeacherGroup],
    threshold: float,
    linkage: Linkage,
) -> dict[str, Interval]:
    """Adjusted Rand, pair agreement and class-count error against stored partitions, by group.

    `matrices`: each group's (n, n) probabilities. Means over groups, resampled by prompt.
    """
    rows = np.asarray(
        [
            agreement(partition(p, threshold, linkage, contents(g.texts)), g.partition)
            for p, g in zip(matrices, groups, strict=True)
        ]
    )
    found = _bootstrap(
        lambda of: rows[of].mean(axis=0).tolist(),
        np.arange(len(groups)),
        [group.prompt for group in groups],
    )
    return dict(zip(("adjusted_rand", "pair_agreement", "class_error"), found, strict=True))


def agreement(found: IntArray, stored: IntArray) -> tuple[float, float, float]:
    """(adjusted Rand index, share of pairs on which both agree, |difference in classes|)."""
    upper = np.triu_indices(len(found), k=1)
    same = (found[:, None] == found[None, :])[upper]
    truly = (stored[:, None] == stored[None, :])[upper]
    classes = abs(len(np.unique(found)) - len(np.unique(stored)))
    return float(adjusted_rand_score(stored, found)), float((same == truly).mean()), float(classes)


def contents(texts: Sequence[str]) -> IntArray:
    """A label for each text, equal for identical ones, in sorted order of the texts."""
    return np.unique(np.asarray(texts, dtype=object), return_inverse=True)[1].astype(np.int64)


def _bootstrap(
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
    low, high = np.percentile(np.asarray(drawn), [2.5, 97.5], axis=0)
    point = measure(rows)
    return [
        Interval(float(v), float(a), float(b)) for v, a, b in zip(point, low, high, strict=True)
    ]
