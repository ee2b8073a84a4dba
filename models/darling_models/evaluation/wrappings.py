"""Wrappings: polite words around an answer, which tell a user nothing new.

A wrapping is an opening, a form of the answer, and a closing. All pieces are empty talk, so
rollouts that wrap one answer are equivalent.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from numpy.random import Generator

from darling_models import fields, json_lines
from darling_models.fields import field

DATA = Path(__file__).parent / "data"
"""`wrappings.json` holds the pieces, `short_answers.jsonl` different answers to each of some
prompts. Neither has been trained on."""
BARE = 1 / 3
"""Share of wrappings without an opening, and of those without a closing."""
WORD_ENDS = frozenset('*_`)”"')
"""Characters besides letters and digits after which a sentence still needs its stop."""


@dataclass(frozen=True, slots=True)
class ShortAnswer:
    prompt: str
    text: str
    category: str
    language: str


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What stands around an answer."""

    opening: str
    form: str
    """The answer's own form, with `{}` in its place."""
    closing: str
    gap: str
    """What stands between two pieces."""
    stop: str
    """What ends the form where the closing follows in the same row."""

    def around(self, answer: str) -> str:
        form = self.form.replace("{}", answer)
        if self.closing and "\n" not in self.gap and _is_open(form[-1]):
            form += self.stop
        return self.gap.join(piece for piece in (self.opening, form, self.closing) if piece)


def short_answers() -> list[ShortAnswer]:
    """200 answers: picks, facts, results and verdicts in English, and answers in other languages.

    The answers to one prompt are not equivalent to each other.
    """
    rows = json_lines.read(DATA / "short_answers.jsonl", _answers)
    return [answer for answers in rows for answer in answers]


def languages() -> tuple[str, ...]:
    return tuple(_pieces()["languages"])


def draw(random: Generator, language: str, *, maths: bool = False) -> Wrapping:
    """A wrapping in the language; `maths` adds forms such as a boxed formula."""
    pieces = _pieces()
    own = pieces["languages"][language]
    in_rows = pieces["blocks"]
    forms = [*pieces["inline"], *own["frames"], *in_rows, *(pieces["maths"] if maths else ())]
    form = str(random.choice(forms))
    separate = form in in_rows or random.random() < BARE
    return Wrapping(
        _or_none(random, own["openings"]),
        form,
        _or_none(random, own["closings"]),
        "\n\n" if separate else own["gap"],
        own["stop"],
    )


def wrapped(random: Generator, answer: ShortAnswer, count: int) -> tuple[str, ...]:
    """The bare answer, and `count` - 1 different wrappings of it in its own language."""
    texts = {answer.text: None}
    while len(texts) < count:
        wrapping = draw(random, answer.language, maths=answer.category == "maths")
        texts[wrapping.around(answer.text)] = None
    return tuple(texts)


def _is_open(character: str) -> bool:
    return character.isalnum() or character in WORD_ENDS


def _or_none(random: Generator, pieces: Sequence[str]) -> str:
    return "" if random.random() < BARE else str(random.choice(pieces))


@cache
def _pieces() -> dict[str, Any]:
    pieces: dict[str, Any] = json.loads((DATA / "wrappings.json").read_text(encoding="utf-8"))
    return pieces


def _answers(row: dict[str, Any]) -> list[ShortAnswer]:
    prompt, category, language = (
        field(row, name, fields.text) for name in ("prompt", "category", "language")
    )
    answers = field(row, "answers", fields.rollout_texts)
    return [ShortAnswer(prompt, text, category, language) for text in answers]
