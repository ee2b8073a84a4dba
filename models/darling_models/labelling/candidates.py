"""Which pairs are worth a label: those the current model is least sure of, and some at random.

Uncertain pairs teach the most. The random ones keep the labels from being all borderline, so that a
model trained on them is calibrated on ordinary pairs too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darling_models import fields, json_lines
from darling_models.evaluation.predict import Question, answers
from darling_models.fields import field
from darling_models.keys import pair_key
from darling_models.protocol import EquivalenceClassifier, all_pairs
from darling_models.texts.chat_templates import read_prompt, rollout_turns
from darling_models.texts.rule import compared_text


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two different rollouts to one prompt, in the order in which their group has them."""

    prompt: str
    a: str
    b: str

    @property
    def key(self) -> bytes:
        return pair_key(self.prompt, self.a, self.b)


def read_questions(path: Path, prompt_field: str, rollouts_field: str) -> list[Question]:
    """The distinct answers in the rollouts of each line, as the service compares them by default,
    and all their pairs.

    Raises `OSError`, and `ValueError` naming the line and the field that are not as they should be.
    """

    def question(row: dict[str, Any]) -> Question:
        prompt = read_prompt(field(row, prompt_field, fields.prompt))
        answers = (
            compared_text(rollout_turns(text), "answer", prompt.opens_reasoning).text
            for text in field(row, rollouts_field, fields.rollout_texts)
        )
        rollouts = tuple(dict.fromkeys(answers))
        return Question(prompt.text, rollouts, all_pairs(len(rollouts)))

    return json_lines.read(path, question)


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
