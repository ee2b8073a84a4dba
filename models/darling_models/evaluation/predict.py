"""A classifier's answers to many questions, its work batched across them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darling_models.errors import ModelError
from darling_models.labelled_data import HumanPair, TeacherGroup
from darling_models.progress import progress
from darling_models.protocol import (
    ONE_PAIR,
    Embedder,
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    Plan,
    Unit,
    all_pairs,
    probabilities_of,
    run_units,
)

BATCH_TOKENS = 16384
"""Tokens that a classifier gets at a time: many packs of the encoder, and few enough results to
hold in memory."""


@dataclass(frozen=True, slots=True)
class Question:
    """Pairs of texts that answer one prompt."""

    prompt: str
    texts: tuple[str, ...]
    pairs: IntArray
    """Indices into `texts`, shape (m, 2)."""


def answers(
    classifier: EquivalenceClassifier, questions: Sequence[Question], name: str
) -> list[FloatArray]:
    """P(equivalent) of each question's pairs; `name` labels the progress bar.

    Raises what the model raises, and `ModelError` if it answers with what is no probability.
    """
    return [
        probabilities_of(classifier, question.prompt, question.texts, question.pairs, results)
        for question, results in _worked(classifier, questions, name)
    ]


def as_embedder(classifier: EquivalenceClassifier) -> Embedder:
    """The classifier as one that has vectors of texts. Raises `ModelError` if it has none."""
    if not isinstance(classifier, Embedder):
        raise ModelError(
            f"{classifier.info.id} has no vectors of texts; choose embeddings, "
            "embeddings:PATH_OR_ID, embedded or embedded:DIR"
        )
    return classifier


def cosines(
    encoder: EquivalenceClassifier, questions: Sequence[Question], name: str
) -> list[FloatArray]:
    """The cosine of each question's pairs; `name` labels the progress bar.

    Raises `ModelError` if the model has no vectors, or vectors that are not finite.
    """
    embedder = as_embedder(encoder)
    values = [
        embedder.cosines(question.texts, question.pairs, results)
        for question, results in _worked(encoder, questions, name)
    ]
    if not all(np.isfinite(each).all() for each in values):
        raise ModelError(f"{encoder.info.id} gives vectors that are not finite; check its weights")
    return values


def of_pairs(
    classifier: EquivalenceClassifier, pairs: Sequence[HumanPair], name: str
) -> FloatArray:
    """P(equivalent) of each pair; identical texts are 1, as the service has it."""
    questions = [Question(pair.prompt, (pair.a, pair.b), ONE_PAIR) for pair in pairs]
    probabilities = np.concatenate([*answers(classifier, questions, name), np.empty(0)])
    same: NDArray[np.bool_] = np.asarray([pair.a == pair.b for pair in pairs], dtype=np.bool_)
    return np.where(same, 1.0, probabilities)


def of_groups(
    classifier: EquivalenceClassifier, groups: Sequence[TeacherGroup], name: str
) -> list[FloatArray]:
    """Each group's symmetric (n, n) matrix of probabilities; identical texts are 1."""
    questions = [Question(g.prompt, g.texts, all_pairs(len(g.texts))) for g in groups]
    matrices = []
    for group, probabilities in zip(groups, answers(classifier, questions, name), strict=True):
        matrix = np.asarray([[float(a == b) for b in group.texts] for a in group.texts])
        rows, columns = all_pairs(len(group.texts)).T
        matrix[rows, columns] = np.maximum(matrix[rows, columns], probabilities)
        matrix[columns, rows] = matrix[rows, columns]
        matrices.append(matrix)
    return matrices


def _worked(
    classifier: EquivalenceClassifier, questions: Sequence[Question], name: str
) -> Iterator[tuple[Question, Mapping[bytes, Any]]]:
    """Each question with the results of its units by key; the work is batched across them."""
    with progress(total=len(questions), desc=name) as bar:
        for batch in _batches(classifier, questions):
            results = run_units(classifier, (unit for _, plan in batch for unit in plan.units))
            for question, _ in batch:
                yield question, results
            bar.update(len(batch))


def _batches(
    classifier: EquivalenceClassifier, questions: Sequence[Question]
) -> Iterator[list[tuple[Question, Plan]]]:
    batch: list[tuple[Question, Plan]] = []
    tokens = 0
    for question in questions:
        plan = classifier.plan(question.prompt, question.texts, question.pairs)
        batch.append((question, plan))
        tokens += _tokens(plan.units)
        if tokens >= BATCH_TOKENS or not plan.units:
            yield batch
            batch, tokens = [], 0
    if batch:
        yield batch


def _tokens(units: Sequence[Unit]) -> int:
    return sum(unit.tokens for unit in units)
