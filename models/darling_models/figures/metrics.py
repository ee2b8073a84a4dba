"""Metrics of probabilities and of partitions, each with its bootstrap interval."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import adjusted_rand_score, v_measure_score

from darling_models.figures.intervals import UNMEASURED, Interval, bootstrap
from darling_models.labelled_data import TeacherGroup
from darling_models.partitions.linkage import partition
from darling_models.protocol import FloatArray, IntArray, Linkage

BINS = 10
"""Even bins of probability, for the calibration error and the reliability plot."""
GROUPED_RESAMPLES = 100
"""Resamples of the AUC over all pairs of all groups, each of which sorts every pair."""


PAIR_METRICS = ("auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "ece")
PARTITION_METRICS = ("pair_f1", "adjusted_rand", "v_measure", "pair_agreement", "class_error")


def pair_metrics(
    probabilities: FloatArray,
    decisions: NDArray[np.bool_],
    similar: NDArray[np.bool_],
    prompts: Sequence[str] | None = None,
) -> dict[str, Interval]:
    """`PAIR_METRICS` of labelled pairs, resampled by prompt, or by pair without `prompts`; NaN
    where one label is missing."""

    def measure(of: IntArray) -> list[float]:
        y, said = similar[of], decisions[of]
        both = 0 < np.count_nonzero(y) < len(y)
        return [
            roc_auc(probabilities[of], y),
            average_precision(probabilities[of], y),
            float((said == y).mean()),
            float((said[y].mean() + (~said[~y]).mean()) / 2) if both else np.nan,
            f1(said, y),
            expected_calibration_error(probabilities[of], y),
        ]

    return dict(zip(PAIR_METRICS, bootstrap(measure, len(similar), prompts), strict=True))


# The three below are written out because scikit-learn's checks of its input cost ten times the sum,
# and a bootstrap takes it a thousand times.


def roc_auc(scores: FloatArray, similar: NDArray[np.bool_]) -> float:
    """The share of (similar, different) pairs in the right order, a tie counting half."""
    positives = int(np.count_nonzero(similar))
    negatives = len(similar) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = float(rankdata(scores)[similar].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def average_precision(scores: FloatArray, similar: NDArray[np.bool_]) -> float:
    """Precision at each distinct score, weighted by the recall gained there."""
    if not similar.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(similar[order])
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    return float(np.sum(np.diff(hits[ends], prepend=0) * hits[ends] / (ends + 1)) / hits[-1])


def f1(said: NDArray[np.bool_], truly: NDArray[np.bool_]) -> float:
    """2 hits / (said + true); 1 where there is nothing to find and nothing was found."""
    total = int(np.count_nonzero(said)) + int(np.count_nonzero(truly))
    return 2 * int(np.count_nonzero(said & truly)) / total if total else 1.0


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
            roc_auc(
                np.concatenate([probabilities[i] for i in of]),
                np.concatenate([same[i] for i in of]),
            )
        ]

    return bootstrap(measure, len(prompts), prompts, resamples=GROUPED_RESAMPLES)[0]


def partition_metrics(
    matrices: Sequence[FloatArray],
    groups: Sequence[TeacherGroup],
    threshold: float,
    linkage: Linkage,
) -> dict[str, Interval]:
    """`PARTITION_METRICS` against stored partitions, by group.

    `matrices`: each group's (n, n) probabilities. Means over groups, resampled by prompt; groups of
    one text have no pairs and are left out.
    """
    several = [(p, g) for p, g in zip(matrices, groups, strict=True) if len(g.texts) > 1]
    if not several:
        return dict.fromkeys(PARTITION_METRICS, UNMEASURED)
    rows = np.asarray(
        [
            agreement(partition(p, threshold, linkage, contents(g.texts)), g.partition)
            for p, g in several
        ]
    )
    intervals = bootstrap(
        lambda of: rows[of].mean(axis=0).tolist(),
        len(several),
        [group.prompt for _, group in several],
    )
    return dict(zip(PARTITION_METRICS, intervals, strict=True))


def agreement(found: IntArray, stored: IntArray) -> tuple[float, ...]:
    """`PARTITION_METRICS` of one group.

    F1 of "in one class" over pairs, adjusted Rand index, V-measure, share of pairs on which both
    agree, |difference in the number of classes|.
    """
    upper = np.triu_indices(len(found), k=1)
    same = (found[:, None] == found[None, :])[upper]
    truly = (stored[:, None] == stored[None, :])[upper]
    classes = abs(len(np.unique(found)) - len(np.unique(stored)))
    return (
        f1(same, truly),
        float(adjusted_rand_score(stored, found)),
        float(v_measure_score(stored, found)),
        float((same == truly).mean()),
        float(classes),
    )


def contents(texts: Sequence[str]) -> IntArray:
    """A label for each text, equal for identical ones, in sorted order of the texts."""
    return np.unique(np.asarray(texts, dtype=object), return_inverse=True)[1].astype(np.int64)
