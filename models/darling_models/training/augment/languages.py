"""Made-up groups of short answers in several languages, and in phrases of several at once.

A policy that is paid for diversity also finds a greeting in another language.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from darling_models.labelled_data import TeacherGroup
from darling_models.training.augment.phrases import (
    DATA,
    SEPARATORS,
    Phrases,
    one_of,
    some_of,
    wrap,
)

GROUPS = 400
MIXED = 0.12
"""Share of the groups whose phrases are in any language."""
ENGLISH = 0.45
"""Share of the groups whose prompt and answers are in English; the others share the rest."""
EDGES = 0.55
"""How often an answer has an opening, and a closing."""
WITHOUT_SPACES = {"zh": ("", "", "\n")}
"""What stands between phrases of languages that write no spaces."""


@dataclass(frozen=True, slots=True)
class Language:
    phrases: Phrases
    picks: list[tuple[str, list[str]]]
    """Prompts, and short answers to each."""


@cache
def _languages() -> dict[str, Language]:
    stored = json.loads((DATA / "languages.json").read_text("utf-8"))
    return {
        name: Language(
            Phrases(
                own["frames"],
                own["openings"],
                own["closings"],
                separators=WITHOUT_SPACES.get(name, SEPARATORS),
            ),
            [(pick["prompt"], pick["answers"]) for pick in own["picks"]],
        )
        for name, own in stored.items()
    }


def languages(random: np.random.Generator) -> list[TeacherGroup]:
    """Groups of two or three answers, each bare, in the phrases of all of them, and in its own."""
    return [_group(random) for _ in range(GROUPS)]


def _group(random: np.random.Generator) -> TeacherGroup:
    known = _languages()
    others = sorted(known.keys() - {"en"})
    own = known["en" if random.random() < ENGLISH else one_of(others, random)]
    spoken = list(known.values()) if random.random() < MIXED else [own]
    prompt, answers = one_of(own.picks, random)
    shared = int(random.integers(2**32))
    texts: dict[str, int] = {}
    for number, answer in enumerate(some_of(answers, one_of((2, 3), random), random)):
        texts.setdefault(answer, number)
        texts.setdefault(_say(answer, spoken, np.random.default_rng(shared)), number)
        for _ in range(3):
            texts.setdefault(_say(answer, spoken, random), number)
    return TeacherGroup(prompt, tuple(texts), np.asarray(list(texts.values())))


def _say(answer: str, spoken: Sequence[Language], random: np.random.Generator) -> str:
    """The answer in phrases, each of a language of its own."""
    frames, openings, closings = (one_of(spoken, random).phrases for _ in range(3))
    mixed = Phrases(
        frames.frames, openings.openings, closings.closings, separators=frames.separators
    )
    return wrap(answer, random, EDGES, known=mixed)
