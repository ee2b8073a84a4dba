"""Which pairs are worth a label: those the current model is least sure of, and some at random.

Uncertain pairs teach the most. The random ones keep the labels from being all borderline, so that a
model trained on them is calibrated on ordinary pairs too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darling_models.evaluation.predict import Question, answers
from darling_models.keys import pair_key
from darling_models.labelled_data import read_texts
from darling_models.protocol import EquivalenceClassifier, all_pairs
from darling_models.texts.rule import TextRule


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two different rollouts to one prompt, in the order in which their group has them."""

    prompt: str
    a: str
    b: str

    @property
    def key(self) -> bytes:
        return pair_key(self.prompt, self.a, self.b)


def read_questions(
    path: Path, prompt_field: str, rollouts_field: str, rule: TextRule = "answer"
) -> list[Question]:
    """The distinct texts of the rollouts of each line, by the rule of what is compared, and all
    their pairs.

    Raises `OSError`, and `ValueError` naming the line and the field that are not as they should be.
    """
    questions = []
    for group in read_texts(path, prompt_field, rollouts_field, rule):
        texts = tuple(dict.fromkeys(group.texts))
        questions.append(Question(group.prompt, texts, all_pairs(len(texts))))
    return questions


def in_order_of_use(
    model: EquivalenceClassifier,
    questions: Sequence[Question],
    random_share: float,
    seed: int,
) -> list[Candidate]:
    """Every distinct pair, the most useful first; the same for the same input, model and seed.

    Every prefix holds `random_share` of pairs drawn evenly, the rest by rising distance of the
    model's probability from its threshold.
    """
    candidates: dict[bytes, Candidate] = {}
    distance: list[float] = []
    for question, probabilities in zip(questions, answers(model, questions, "model"), strict=True):
        for (i, j), p in zip(question.pairs.tolist(), probabilities.tolist(), strict=True):
            candidate = Candidate(question.prompt, question.texts[i], question.texts[j])
            if candidate.key not in candidates:
                candidates[candidate.key] = candidate
                distance.append(abs(p - model.info.threshold))
    pairs = list(candidates.values())
    sources = {
        True: iter(np.random.default_rng(seed).permutation(len(pairs)).tolist()),
        False: iter(np.argsort(distance, kind="stable").tolist()),
    }
    taken: dict[int, None] = {}
    for place in range(len(pairs)):
        drawn = int((place + 1) * random_share) > int(place * random_share)
        taken[next(k for k in sources[drawn] if k not in taken)] = None
    return [pairs[k] for k in taken]
