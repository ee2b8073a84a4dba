"""Labelled data: human pairs, groups partitioned by a teacher, and groups written for a behaviour.

All are JSON lines (`json_lines`). Human pairs: `prompt`, `generation_0`, `generation_1`, `similar`
(0 or 1), `labeler`. Groups: `prompt`, `generations`, `partition`. Behaviours: `id`, `category`,
`prompt`, `rollouts`, `classes`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darling_models import fields, json_lines
from darling_models.fields import field
from darling_models.protocol import IntArray
from darling_models.texts.chat_templates import read_prompt, rollout_turns
from darling_models.texts.rule import compared_text

MIN_PROMPTS = 10
"""Prompts with similar pairs, and with different ones, that training needs, so that each of ten
folds can hold both labels."""


@dataclass(frozen=True, slots=True)
class HumanPair:
    prompt: str
    a: str
    b: str
    similar: bool
    labeler: str


@dataclass(frozen=True, slots=True)
class TeacherGroup:
    prompt: str
    texts: tuple[str, ...]
    partition: IntArray


@dataclass(frozen=True, slots=True)
class BehaviourGroup(TeacherGroup):
    """A group that tests one behaviour of a classifier; the texts are those that are compared."""

    id: str
    category: str


def read_pairs(path: Path, *, may_be_empty: bool = False) -> list[HumanPair]:
    """The pairs of a file. Raises `OSError`, and `ValueError` naming the line that holds none."""
    return json_lines.read(path, _pair, may_be_empty=may_be_empty)


def read_groups(path: Path) -> list[TeacherGroup]:
    """The groups of a file. Raises `OSError`, and `ValueError` naming the line that holds none."""
    return json_lines.read(path, _group)


def read_behaviours(path: Path) -> list[BehaviourGroup]:
    """The behaviours of a file, with each rollout's text as the service compares it by default.

    Raises `OSError`, and `ValueError` naming the line that holds none, that repeats an `id`, or
    that puts one text into two classes.
    """
    ids: set[str] = set()

    def behaviour(row: dict[str, Any]) -> BehaviourGroup:
        group = _behaviour(row)
        if group.id in ids:
            raise ValueError(f"id: {group.id!r} is another group's too; give each group its own")
        ids.add(group.id)
        return group

    return json_lines.read(path, behaviour)


def _pair(row: dict[str, Any]) -> HumanPair:
    return HumanPair(
        field(row, "prompt", fields.prompt),
        field(row, "generation_0", fields.text),
        field(row, "generation_1", fields.text),
        field(row, "similar", fields.verdict),
        field(row, "labeler", _labeler) if row.get("labeler") is not None else "unknown",
    )


def _labeler(value: Any) -> str:
    """A name, or a number that stands for one."""
    return str(value) if type(value) is int else fields.text(value)


def _group(row: dict[str, Any]) -> TeacherGroup:
    texts = field(row, "generations", fields.rollout_texts)
    partition = field(row, "partition", fields.class_numbers)
    if len(partition) != len(texts):
        raise ValueError(
            f"partition: {len(partition)} classes for {len(texts)} generations; give one each"
        )
    return TeacherGroup(
        field(row, "prompt", fields.prompt), texts, np.asarray(partition, dtype=np.int64)
    )


def _behaviour(row: dict[str, Any]) -> BehaviourGroup:
    prompt = read_prompt(field(row, "prompt", fields.prompt))
    rollouts = field(row, "rollouts", fields.rollout_texts)
    classes = field(row, "classes", fields.class_numbers)
    if len(classes) != len(rollouts):
        raise ValueError(
            f"classes: {len(classes)} classes for {len(rollouts)} rollouts; give one each"
        )
    texts = tuple(
        compared_text(rollout_turns(text), "answer", prompt.opens_reasoning).text
        for text in rollouts
    )
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        earlier = first.setdefault(text, place)
        if classes[earlier] != classes[place]:
            raise ValueError(
                f"classes[{place}]: rollouts[{earlier}] and rollouts[{place}] have the same answer "
                f"and the classes {classes[earlier]} and {classes[place]}; give them one class"
            )
    return BehaviourGroup(
        prompt.text,
        texts,
        np.asarray(classes, dtype=np.int64),
        field(row, "id", fields.name),
        field(row, "category", fields.name),
    )


def check_enough(pairs: Sequence[HumanPair]) -> None:
    """Raises `ValueError` if a head cannot be fitted and cross-validated on these pairs."""
    for similar, name in ((True, "similar"), (False, "different")):
        prompts = {pair.prompt for pair in pairs if pair.similar == similar}
        if len(prompts) < MIN_PROMPTS:
            raise ValueError(
                f"{len(prompts)} prompts with {name} pairs are too few to train on; label at "
                f"least {MIN_PROMPTS}"
            )


def kept_aside(labelled: Iterable[tuple[str, bool]], share: float, seed: int) -> set[str]:
    """About `share` of the prompts with similar pairs, and of those with different ones."""
    by_label: dict[bool, set[str]] = {True: set(), False: set()}
    for prompt, similar in labelled:
        by_label[similar].add(prompt)
    random = np.random.default_rng(seed)
    held: set[str] = set()
    for prompts in by_label.values():
        order = random.permutation(len(prompts))[: round(share * len(prompts))]
        held |= {sorted(prompts)[k] for k in order.tolist()}
    return held


def folds(prompts: list[str], count: int, seed: int) -> NDArray[np.int64]:
    """A fold for each row, the same for equal prompts, shape (rows,); folds of even size."""
    distinct = sorted(set(prompts))
    order = np.random.default_rng(seed).permutation(len(distinct))
    fold = {prompt: int(place) % count for prompt, place in zip(distinct, order, strict=True)}
    return np.asarray([fold[prompt] for prompt in prompts], dtype=np.int64)
