"""Polite words around an answer: openings, frames and closings that say nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

DATA = Path(__file__).parent / "data"
SEPARATORS = (" ", " ", "\n", "\n\n")
SECOND = 0.25
"""How often a text that has an opening or a closing has another one."""
SHOUTED, WHISPERED = 0.03, 0.06
"""How often the whole text is in capitals, and in small letters."""
BARE = ("{}", "{}", "**{}**", "- {}", '"{}"', "Answer: {}", "> {}")
"""Frames around an answer that is a sentence of its own."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Phrases:
    frames: list[str]
    """Each holds {} once, where the answer stands."""
    openings: list[str]
    closings: list[str]
    reasons: Sequence[str] = ()
    """What may follow an answer and a comma."""
    separators: Sequence[str] = SEPARATORS
    """What stands between an opening, the framed answer and a closing."""


@cache
def phrases() -> Phrases:
    return Phrases(**json.loads((DATA / "phrases.json").read_text("utf-8")))


def one_of(items: Sequence[Item], random: np.random.Generator) -> Item:
    return items[int(random.integers(len(items)))]


def some_of(items: Sequence[Item], count: int, random: np.random.Generator) -> list[Item]:
    """At most `count` different ones, in random order."""
    return [items[k] for k in random.permutation(len(items))[:count].tolist()]


def wrap(
    answer: str,
    random: np.random.Generator,
    edges: float = 0.35,
    frames: Sequence[str] | None = None,
    known: Phrases | None = None,
) -> str:
    """The answer in a frame; `edges`: how often an opening stands before it, and a closing after.

    `frames`: those to choose from; None: all of them. `known`: other phrases than the English ones.
    """
    known = known or phrases()
    body = one_of(known.frames if frames is None else frames, random).replace("{}", answer)
    if body.endswith(("..", "?.", "!.")):
        body = body[:-1]
    before = _edge(known.openings, edges, random)
    after = _edge(known.closings, edges, random)
    text = one_of(known.separators, random).join([*before, body, *after])
    drawn = random.random()
    if drawn < SHOUTED:
        return text.upper()
    return text.lower() if drawn < SHOUTED + WHISPERED else text


def _edge(known: Sequence[str], often: float, random: np.random.Generator) -> list[str]:
    if random.random() >= often:
        return []
    return some_of(known, 1 + int(random.random() < SECOND), random)
