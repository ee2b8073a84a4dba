"""Figures of labelled pairs that come in groups: how often the decisions are right, which mistakes
they make, and how well the probabilities are calibrated.

Pairs of one group are not independent, so intervals are resampled by prompt. Each group is counted
once, and a resample adds up counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darling_models.figures.intervals import UNMEASURED, Interval, bootstrap
from darling_models.figures.metrics import BINS, grouped_auc
from darling_models.labelled_data import TeacherGroup
from darling_models.protocol import FloatArray, IntArray

SHARES = (
    "accuracy",
    "wrong_merges",
    "wrong_splits",
    "different_merged",
    "same_split",
    "ece",
)
"""Shares of labelled pairs:

    accuracy          pairs that are decided as labelled, of all pairs
    wrong_merges      pairs labelled different and decided equivalent, of all pairs
    wrong_splits      pairs labelled equivalent and decided different, of all pairs
    different_merged  the wrong merges, of the pairs labelled different
    same_split        the wrong splits, of the pairs labelled equivalent
    ece               expected calibration error over `BINS` even bins

The first three add up to 1.
"""


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """Pairs of one group, with a classifier's probabilities."""

    prompt: str
    probabilities: FloatArray
    """P(equivalent), shape (m,)."""
    same: NDArray[np.bool_]
    """Whether each pair is labelled equivalent, shape (m,)."""


def labelled_pairs(
    groups: Sequence[TeacherGroup], matrices: Sequence[FloatArray], pairs: Sequence[IntArray]
) -> list[LabelledPairs]:
    """Some pairs of each group, by index, shapes (m, 2), from its (n, n) probabilities."""
    return [
        LabelledPairs(
            group.prompt,
            matrix[own[:, 0], own[:, 1]],
            group.partition[own[:, 0]] == group.partition[own[:, 1]],
        )
        for group, matrix, own in zip(groups, matrices, pairs, strict=True)
    ]


def labelled_pair_figures(groups: Sequence[LabelledPairs], threshold: float) -> dict[str, Interval]:
    """`auc` and `SHARES` over the pairs of all groups; NaN for what these pairs cannot say.

    A pair is decided equivalent when its probability is above the threshold.
    """
    several = [group for group in groups if len(group.same)]
    if not several:
        return dict.fromkeys(("auc", *SHARES), UNMEASURED)
    counts = np.asarray([_counts(group, threshold) for group in several])
    prompts = [group.prompt for group in several]

    def measure(of: IntArray) -> list[float]:
        return _shares(counts[of].sum(axis=0))

    shares = dict(zip(SHARES, bootstrap(measure, len(several), prompts), strict=True))
    auc = grouped_auc([g.probabilities for g in several], [g.same for g in several], prompts)
    return {"auc": auc, **shares}


def _counts(group: LabelledPairs, threshold: float) -> FloatArray:
    """(pairs, equivalent ones, wrong merges, wrong splits, and for each bin the labels minus the
    probabilities), shape (4 + BINS,)."""
    said = group.probabilities > threshold
    bins = np.minimum((group.probabilities * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=group.same - group.probabilities, minlength=BINS)
    merges = np.count_nonzero(said & ~group.same)
    splits = np.count_nonzero(~said & group.same)
    return np.concatenate([[len(said), np.count_nonzero(group.same), merges, splits], gaps])


def _shares(counts: FloatArray) -> list[float]:
    """`SHARES` from the sum of `_counts` over groups."""
    pairs, same, merges, splits = counts[:4].tolist()
    return [
        (pairs - merges - splits) / pairs,
        merges / pairs,
        splits / pairs,
        merges / (pairs - same) if pairs > same else np.nan,
        splits / same if same else np.nan,
        float(np.abs(counts[4:]).sum()) / pairs,
    ]
