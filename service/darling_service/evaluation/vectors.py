"""Cosines of records' rollouts, by a sentence encoder."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from darling_models.evaluation.predict import Question, as_embedder, cosines
from darling_models.protocol import EquivalenceClassifier, all_pairs
from darling_models.registry import load, only_read
from darling_service.evaluation.records import Record
from darling_service.rewards.exact import FloatArray
from darling_service.settings import Settings


def load_encoder(name: str, settings: Settings) -> EquivalenceClassifier:
    """A model named as for `--model`. Raises `ModelError` if it has no vectors of texts."""
    # The settings are those of `--model`: the encoder takes over what it reads.
    options = replace(
        only_read(name, settings.model_options()), threshold=None, linkage=None, notion=None
    )
    encoder = load(name, options)
    as_embedder(encoder)
    return encoder


def similarities(records: Sequence[Record], encoder: EquivalenceClassifier) -> list[FloatArray]:
    """Cosines (n, n) of each record's rollouts. Raises `ModelError`."""
    questions = []
    for record in records:
        texts = tuple(dict.fromkeys(record.texts))
        questions.append(Question(record.prompt, texts, all_pairs(len(texts))))
    answers = cosines(encoder, questions, "vectors")
    return [
        _matrix(record, question, values)
        for record, question, values in zip(records, questions, answers, strict=True)
    ]


def _matrix(record: Record, question: Question, values: FloatArray) -> FloatArray:
    """Cosines of the distinct texts, spread over all rollouts; 1 for equal texts."""
    distinct = np.eye(len(question.texts))
    rows, columns = question.pairs.T
    distinct[rows, columns] = distinct[columns, rows] = values
    place = {text: k for k, text in enumerate(question.texts)}
    member = [place[text] for text in record.texts]
    return distinct[np.ix_(member, member)]
