"""Labelled data: human pairs, groups partitioned by a teacher, and groups written for a behaviour.

All are JSON lines (`json_lines`). Human pairs: `prompt`, `generation_0`, `generation_1`, `similar`
(0 or 1), `labeler`; public sets write `a`, `b` and `label`, and `group`, which ties rows together
that must not be cut apart. Groups: `prompt`, `generations`, `partition`, and `sure`, how sure their
reader was. Behaviours: `id`, `category`, `prompt`, `rollouts`, `classes`. Prompts and generations
may be texts or chat messages. They are read as the service reads prompts and rollouts, so that a
classifier is trained and measured on the texts that it is going to compare. A pair that `label` has
written says in `compared` by which rule its texts were chosen; they are taken as they are. A pair
of the console's review says in `notion` or `criterion` by what it was judged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from darling_models import fields, json_lines
from darling_models.fields import field
from darling_models.protocol import IntArray, Notion
from darling_models.texts.group import GroupTexts, group_texts
from darling_models.texts.rule import TextRule

GENERATIONS = ("generation_0", "generation_1")
PUBLIC_GENERATIONS = ("a", "b")
COMPARED = "compared"
"""Field of a pair that says by which rule its texts were chosen."""
NOTION = "notion"
"""Field of a pair that says by which notion it was judged."""
TRAINED: Notion = "answer"
"""The notion of classifiers that are trained, and of pairs that name none."""
CRITERION = "criterion"
"""Field of a pair that says in words when two texts are the same, in place of a notion."""
UNKNOWN = "unknown"
"""Labeler of a pair that names none."""
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
    tied: str = ""
    """Rows of one file with the same name are kept in one fold; "" ties nothing."""


@dataclass(frozen=True, slots=True)
class TeacherGroup:
    prompt: str
    texts: tuple[str, ...]
    partition: IntArray
    _: KW_ONLY
    sure: float = 1.0
    """How sure the reader was of the partition, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class BehaviourGroup(TeacherGroup):
    """A group that tests one behaviour of a classifier; the texts are those that are compared."""

    id: str
    category: str


def read_pairs(
    path: Path,
    rule: TextRule = "answer",
    *,
    notion: Notion = TRAINED,
    may_be_empty: bool = False,
) -> list[HumanPair]:
    """The pairs of a file, of which `rule` says what of each generation is compared.

    Raises `OSError`, and `ValueError` naming the line that holds no pair, or one that was judged by
    another notion, or by another criterion than the first.
    """
    criteria: list[str | None] = []

    def pair(row: dict[str, Any]) -> HumanPair:
        if row.get(NOTION) not in (None, notion):
            raise ValueError(
                f"{NOTION}: judged by {row[NOTION]!r}, where {notion!r} is wanted; leave such "
                f"pairs out (GET /v1/review/marks?notion={notion} gives the others)"
            )
        criterion = row.get(CRITERION)
        if criterion is not None:
            field(row, CRITERION, fields.text)
        criteria.append(criterion)
        if criterion != criteria[0]:
            raise ValueError(
                f"{CRITERION}: other than that of the first pair; give pairs of one criterion, "
                "which GET /v1/review/marks?criterion=... selects"
            )
        return _pair(row, rule)

    return json_lines.read(path, pair, may_be_empty=may_be_empty)


def read_groups(path: Path, rule: TextRule = "answer") -> list[TeacherGroup]:
    """The groups of a file, as `read_pairs` reads pairs; behaviours are groups too."""
    return json_lines.read(
        path, lambda row: (_behaviour if "classes" in row else _group)(row, rule)
    )


def read_texts(
    path: Path, prompt: str, rollouts: str, rule: TextRule = "answer"
) -> list[GroupTexts]:
    """The texts of the prompt and of the rollouts on each line, by the names of their fields.

    Raises as `read_pairs` does.
    """
    return json_lines.read(path, lambda row: _texts(row, prompt, rollouts, rule))


def read_behaviours(path: Path, rule: TextRule = "answer") -> list[BehaviourGroup]:
    """The behaviours of a file, of which `rule` says what of each rollout is compared.

    Raises `OSError`, and `ValueError` naming the line that holds none, that repeats an `id`, or
    that puts one text into two classes.
    """
    ids: set[str] = set()

    def behaviour(row: dict[str, Any]) -> BehaviourGroup:
        group = _behaviour(row, rule)
        if group.id in ids:
            raise ValueError(f"id: {group.id!r} is another group's too; give each group its own")
        ids.add(group.id)
        return group

    return json_lines.read(path, behaviour)


def _texts(row: Mapping[str, Any], prompt: str, rollouts: str, rule: TextRule) -> GroupTexts:
    asked, written = field(row, prompt, fields.prompt), field(row, rollouts, fields.rollouts)
    return group_texts(asked, [rollout.response for rollout in written], rule)


def _pair(row: dict[str, Any], rule: TextRule) -> HumanPair:
    public = "a" in row and GENERATIONS[0] not in row
    names, verdict = (PUBLIC_GENERATIONS, "label") if public else (GENERATIONS, "similar")
    if row.get(COMPARED) is None:
        asked = field(row, "prompt", fields.prompt)
        written = [field(row, name, fields.rollout).response for name in names]
        texts = group_texts(asked, written, rule)
        prompt, (a, b) = texts.prompt, texts.texts
    else:
        field(row, COMPARED, _text_rule)
        prompt, a, b = (field(row, name, fields.text) for name in ("prompt", *names))
    return HumanPair(
        *(prompt, a, b),
        field(row, verdict, fields.verdict),
        UNKNOWN if row.get("labeler") is None else field(row, "labeler", _label),
        "" if row.get("group") is None else field(row, "group", _label),
    )


def _text_rule(value: Any) -> TextRule:
    for rule in get_args(TextRule):
        if value == rule:
            return cast(TextRule, rule)
    raise ValueError(f"says by which rule label chose the texts: {', '.join(get_args(TextRule))}")


def _label(value: Any) -> str:
    """A name, or a number that stands for one."""
    return str(value) if type(value) is int else fields.text(value)


def _group(row: dict[str, Any], rule: TextRule) -> TeacherGroup:
    group = _texts(row, "prompt", "generations", rule)
    partition = _classes(row, "partition", len(group.texts), "generations")
    sure = 1.0 if row.get("sure") is None else field(row, "sure", _share)
    return TeacherGroup(group.prompt, tuple(group.texts), partition, sure=sure)


def _share(value: Any) -> float:
    share = fields.number(value)
    if not 0 <= share <= 1:
        raise ValueError(
            f"{share:g} is not from 0 to 1; write how sure the reader was, such as 0.8"
        )
    return share


def _classes(row: Mapping[str, Any], name: str, count: int, texts: str) -> IntArray:
    """The field `name`: the class of each of `count` texts, shape (count,)."""
    classes = field(row, name, fields.class_numbers)
    if len(classes) != count:
        raise ValueError(f"{name}: {len(classes)} classes for {count} {texts}; give one each")
    return np.asarray(classes, dtype=np.int64)


def _behaviour(row: dict[str, Any], rule: TextRule) -> BehaviourGroup:
    group = _texts(row, "prompt", "rollouts", rule)
    classes = _classes(row, "classes", len(group.texts), "rollouts")
    first: dict[str, int] = {}
    for place, text in enumerate(group.texts):
        earlier = first.setdefault(text, place)
        if classes[earlier] != classes[place]:
            raise ValueError(
                f"classes[{place}]: rollouts[{earlier}] and rollouts[{place}] have the same answer "
                f"and the classes {classes[earlier]} and {classes[place]}; give them one class"
            )
    return BehaviourGroup(
        group.prompt,
        tuple(group.texts),
        classes,
        field(row, "id", fields.name),
        field(row, "category", fields.name),
    )


def check_enough(labelled: Iterable[tuple[str, bool]]) -> None:
    """Raises `ValueError` if these (prompt, similar) are too few to train a classifier on."""
    rows = list(labelled)
    for verdict, name in ((True, "similar"), (False, "different")):
        prompts = {prompt for prompt, similar in rows if similar == verdict}
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
