"""Nested cross-validation of the head: everything chosen inside the training folds.

For each outer fold, an inner cross-validation over its training prompts gives the held-out logits
from which calibration and threshold are chosen; the outer test prompts are seen by neither. A tuned
encoder's features are made with the same folds (`corpus`): a row's by an encoder
tuned without its prompt. The rows that the head is fitted on were read by encoders that had seen
labels of the test rows, as in any cross-fitting; the test rows' own features come from one that had
not. Document frequencies are counted once, on unlabelled text.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darling_models.embedded.head import Network, sigmoid
from darling_models.labelled_data import folds
from darling_models.progress import progress
from darling_models.protocol import FloatArray, IntArray, OperatingPoint
from darling_models.training.augment.padding import PAIR_WEIGHT
from darling_models.training.head.corpus import Corpus
from darling_models.training.head.fit import (
    Examples,
    Recipe,
    fit,
    operating_points,
    platt,
    smoothed,
)

INNER_FOLDS = 4
TEACHER_FOLDS = 5

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions for human pairs by heads that saw neither the pair nor its prompt."""

    logits: FloatArray
    probabilities: FloatArray
    decisions: dict[OperatingPoint, Mask]


def examples(corpus: Corpus, recipe: Recipe, pairs: Mask, taught: Mask) -> Examples:
    """The chosen human pairs, as they are and padded, and the chosen rows of `corpus.teaching`,
    which together are drawn as often as the human ones."""
    teaching = [corpus.teaching[t] for t in np.flatnonzero(taught).tolist()]
    longer = np.flatnonzero(pairs[corpus.padded_from])
    rows = np.concatenate([np.flatnonzero(pairs), corpus.padded_from[longer]])
    human = np.concatenate([np.ones(int(pairs.sum())), np.full(len(longer), float(PAIR_WEIGHT))])
    same = np.concatenate([*(t.same for t in teaching), np.empty(0, dtype=np.bool_)])
    return Examples(
        features=np.concatenate(
            [corpus.features[pairs], corpus.padded[longer], *(t.features for t in teaching)]
        ),
        target=np.concatenate(
            [
                smoothed(corpus.similar[rows], recipe.human_smoothing),
                smoothed(same, recipe.teacher_smoothing),
            ]
        ),
        weight=np.concatenate([human / human.sum(), np.full(len(same), 1 / max(len(same), 1))]),
        labeler=np.concatenate([corpus.labeler[rows], np.full(len(same), _labelers(corpus))]),
    )


def by_prompt(corpus: Corpus, count: int, seed: int) -> Iterator[tuple[Mask, Mask]]:
    """Yields each fold's (held-out pairs, held-out teaching); a prompt is in one fold of both."""
    prompts = corpus.prompts + [taught.prompt for taught in corpus.teaching]
    fold = folds(prompts, count, seed)
    for k in range(count):
        yield fold[: len(corpus.prompts)] == k, fold[len(corpus.prompts) :] == k


def by_labeler(corpus: Corpus) -> Iterator[tuple[Mask, Mask]]:
    """Holds out every pair of one labeler, and the teaching of those pairs' prompts."""
    taught = [teaching.prompt for teaching in corpus.teaching]
    for labeler in range(int(corpus.labeler.max()) + 1):
        held = corpus.labeler == labeler
        prompts = {prompt for prompt, out in zip(corpus.prompts, held, strict=True) if out}
        yield held, np.asarray([prompt in prompts for prompt in taught], dtype=np.bool_)


def cross_validate(
    corpus: Corpus, recipe: Recipe, held_out: Iterator[tuple[Mask, Mask]], seed: int, name: str
) -> HeldOut:
    size = len(corpus.features)
    logits, probabilities = np.full(size, np.nan), np.full(size, np.nan)
    decisions: dict[OperatingPoint, Mask] = {}
    for pairs, groups in progress(list(held_out), desc=name):
        network = fit(examples(corpus, recipe, ~pairs, ~groups), recipe, _labelers(corpus), seed)
        slope, intercept, thresholds = calibrate(corpus, recipe, ~pairs, ~groups, seed)
        logits[pairs] = network.logits(corpus.features[pairs])
        probabilities[pairs] = sigmoid(slope * logits[pairs] + intercept)
        for point, threshold in thresholds.items():
            decided = decisions.setdefault(point, np.zeros(size, dtype=np.bool_))
            decided[pairs] = probabilities[pairs] > threshold
    return HeldOut(logits, probabilities, decisions)


def calibrate(
    corpus: Corpus, recipe: Recipe, pairs: Mask, groups: Mask, seed: int
) -> tuple[float, float, dict[OperatingPoint, float]]:
    """Returns (slope, intercept, thresholds) from held-out logits within these rows."""
    logits = np.full(len(corpus.features), np.nan)
    for held_pairs, held_groups in by_prompt(corpus, INNER_FOLDS, seed + 1):
        network = fit(
            examples(corpus, recipe, pairs & ~held_pairs, groups & ~held_groups),
            recipe,
            _labelers(corpus),
            seed,
        )
        inner = pairs & held_pairs
        logits[inner] = network.logits(corpus.features[inner])
    slope, intercept = platt(logits[pairs], corpus.similar[pairs])
    calibrated = sigmoid(slope * logits[pairs] + intercept)
    return slope, intercept, operating_points(calibrated, corpus.similar[pairs])


def teacher_matrices(
    corpus: Corpus, recipe: Recipe, slope: float, intercept: float, seed: int
) -> list[FloatArray]:
    """Each group's (n, n) probabilities by a network that saw none of its prompt."""
    matrices: list[FloatArray] = [np.eye(len(group.texts)) for group in corpus.groups]
    for pairs, groups in progress(
        list(by_prompt(corpus, TEACHER_FOLDS, seed)), desc="teacher folds"
    ):
        network = fit(examples(corpus, recipe, ~pairs, ~groups), recipe, _labelers(corpus), seed)
        for g in np.flatnonzero(groups[: len(matrices)]).tolist():
            matrices[g] = group_matrix(corpus, g, network, slope, intercept)
    return matrices


def group_matrix(
    corpus: Corpus, group: int, network: Network, slope: float, intercept: float
) -> FloatArray:
    """(n, n) probabilities of one group; identical texts are 1."""
    texts = corpus.groups[group].texts
    matrix = np.asarray([[float(a == b) for b in texts] for a in texts])
    rows, columns = corpus.group_pairs[group].T
    values = sigmoid(slope * network.logits(corpus.teaching[group].features) + intercept)
    matrix[rows, columns] = values
    matrix[columns, rows] = values
    return matrix


def _labelers(corpus: Corpus) -> int:
    return int(corpus.labeler.max()) + 1


def upper(matrix: FloatArray) -> FloatArray:
    """The pairs i < j of a matrix, in row order."""
    return matrix[np.triu_indices(len(matrix), k=1)]


def same_upper(partition: IntArray) -> Mask:
    same: Mask = (partition[:, None] == partition[None, :])[np.triu_indices(len(partition), k=1)]
    return same
