"""Cross-validation of the head, in folds by prompt.

A row's logit is by a network that saw none of its prompt. Its probability and its decision are by a
calibration and thresholds from the logits of the other folds. A tuned encoder's features are made
with the same folds (`corpus`): a row's by an encoder tuned without its prompt. The rows that the
head is fitted on were read by encoders that had seen labels of the held-out rows, as in any
cross-fitting; the held-out rows' own features come from one that had not. Document frequencies are
counted once, on unlabelled text.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darling_models.embedded.head import Network, sigmoid
from darling_models.labelled_data import TeacherGroup
from darling_models.progress import progress
from darling_models.protocol import FloatArray, OperatingPoint
from darling_models.training.head.corpus import Corpus
from darling_models.training.head.fit import (
    Examples,
    HeadRecipe,
    fit,
    operating_points,
    platt,
)
from darling_models.training.labelled_groups import LabelledGroup

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions for each row by a head that saw none of its prompt; each has shape (rows,)."""

    logits: FloatArray
    probabilities: FloatArray
    decisions: dict[OperatingPoint, Mask]


def fitted(
    corpus: Corpus, recipe: HeadRecipe, rows: Mask, seed: int, shown_as: str | None = None
) -> Network:
    """The head's network, fitted on these rows."""
    examples = Examples(
        corpus.features[rows], corpus.target[rows], corpus.drawn[rows], corpus.labeler[rows]
    )
    return fit(examples, recipe, len(corpus.labelers), seed, shown_as)


def cross_validate(corpus: Corpus, recipe: HeadRecipe, seed: int) -> HeldOut:
    count = int(corpus.fold.max()) + 1
    logits = np.full(len(corpus.fold), np.nan)
    for k in progress(range(count), desc=f"{count}-fold by prompt"):
        held = corpus.fold == k
        logits[held] = fitted(corpus, recipe, ~held, seed).logits(corpus.features[held])
    probabilities = np.full(len(logits), np.nan)
    decisions: dict[OperatingPoint, Mask] = {}
    for k in range(count):
        held = corpus.fold == k
        slope, intercept, thresholds = calibrate(corpus, logits, ~held)
        probabilities[held] = sigmoid(slope * logits[held] + intercept)
        for point, threshold in thresholds.items():
            decided = decisions.setdefault(point, np.zeros(len(logits), dtype=np.bool_))
            decided[held] = probabilities[held] > threshold
    return HeldOut(logits, probabilities, decisions)


def calibrate(
    corpus: Corpus, logits: FloatArray, rows: Mask
) -> tuple[float, float, dict[OperatingPoint, float]]:
    """(slope, intercept, thresholds) from these rows' held-out logits."""
    rows = rows & (corpus.calibrating > 0)
    similar, weight = corpus.similar[rows], corpus.calibrating[rows]
    slope, intercept = platt(logits[rows], similar, weight * len(weight) / weight.sum())
    return (
        slope,
        intercept,
        operating_points(sigmoid(slope * logits[rows] + intercept), similar, weight),
    )


def stored_groups(
    corpus: Corpus, probabilities: FloatArray, source: int
) -> list[tuple[TeacherGroup, FloatArray]]:
    """The partitioned groups of a source, and the (n, n) probabilities of each group's texts."""
    parts = np.split(probabilities, np.cumsum(corpus.sizes)[:-1])
    return [
        (group.stored, _matrix(group, group.stored, part))
        for group, part in zip(corpus.groups, parts, strict=True)
        if group.source == source and group.stored is not None
    ]


def _matrix(group: LabelledGroup, stored: TeacherGroup, values: FloatArray) -> FloatArray:
    """Identical texts are 1."""
    distinct = np.eye(len(group.texts))
    rows, columns = group.pairs.T
    distinct[rows, columns] = distinct[columns, rows] = values
    members = [group.texts.index(text) for text in stored.texts]
    return distinct[np.ix_(members, members)]


def upper(matrix: FloatArray) -> FloatArray:
    """The pairs i < j of a matrix, in row order."""
    return matrix[np.triu_indices(len(matrix), k=1)]
