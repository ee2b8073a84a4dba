"""Fields of a record, read strictly: texts, verdicts, numbers, classes, prompts, rollouts.

The readers of single values take a JSON value and return it in its type, or raise `ValueError` with
the fault and the cure; `field`, `each` and `named` put its place before that, such as
`rollouts[2].text`. Whoever reads a file or a request uses these, so that one value means the same
everywhere.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from darling_models.faults import (
    LONE_SURROGATE,
    faults_of,
    has_lone_surrogate,
    lone_surrogates,
    path,
)
from darling_models.texts.messages import ChatMessage, Conversation, Response, TextOrMessages
from darling_models.texts.special_tokens import is_blank

Value = TypeVar("Value")

MAX_SHOWN = 40
"""Characters of a wrong value that an error repeats."""
CONVERSATION = TypeAdapter(Conversation)
TEXT_OR_MESSAGES = TypeAdapter(TextOrMessages)

MAX_NUMBER = 1e30
"""Largest magnitude of a number: squares, summed over a file, stay finite in float64."""


class FieldFault(ValueError):
    """A field holds what it must not: the message names its place, the fault and the cure."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place, self.message = place, message


def field(row: Mapping[str, Any], name: str, read: Callable[[Any], Value]) -> Value:
    """The field `name` as `read` returns it. Raises `FieldFault`."""
    if name not in row:
        raise FieldFault(name, "missing; add it")
    return named(name, read, row[name])


def each(read: Callable[[Any], Value], values: Iterable[Any]) -> list[Value]:
    """Each item of a list as `read` returns it. Raises `FieldFault` naming the item."""
    return [named(f"[{index}]", read, value) for index, value in enumerate(values)]


def named(place: str, read: Callable[[Any], Value], value: Any) -> Value:
    """`read(value)`; what is wrong inside the value gets `place` before its own place.

    Raises `FieldFault`.
    """
    try:
        return read(value)
    except FieldFault as error:
        dot = "" if error.place.startswith("[") else "."
        raise FieldFault(f"{place}{dot}{error.place}", error.message) from None
    except ValueError as error:
        raise FieldFault(place, str(error)) from None


def check_characters(row: Mapping[str, Any]) -> None:
    """Raises `FieldFault` for the first text, or name of a field, that holds a lone surrogate."""
    for loc in lone_surrogates(row):
        place = path(loc).encode(errors="backslashreplace").decode()
        raise FieldFault(place, LONE_SURROGATE)


def verdict(value: Any) -> bool:
    """Whether something is so: true or 1, false or 0. Anything else raises `ValueError`.

    Truthiness would count a wrong -1, "False" or 0.3 as right.
    """
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise ValueError(f"{_shown(value)} is not a verdict; write true, false, 1 or 0")


def number(value: Any) -> float:
    """A finite number of at most `MAX_NUMBER`. Anything else raises `ValueError`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) <= MAX_NUMBER:
            return float(value)
        if value != value:  # NaN; math.isnan raises for an integer beyond float64
            raise ValueError("NaN is not a number; write a finite one")
        raise ValueError(f"{_shown(value)} is beyond ±{MAX_NUMBER:g}; write a smaller number")
    raise ValueError(f"{_shown(value)} is not a number; write one without quotes")


def class_number(value: Any) -> int:
    """The number of a class: an integer that fits 64 bits. Anything else raises `ValueError`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            return value
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return int(value)
    raise ValueError(f"{_shown(value)} is not the number of a class; write an integer such as 0")


def class_numbers(value: Any) -> list[int]:
    """A list of numbers of classes. Anything else raises `ValueError`."""
    return each(class_number, items(value))


def text(value: Any) -> str:
    """A text that can be written as UTF-8. Anything else raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not a text; write one in quotes")
    if has_lone_surrogate(value):
        raise ValueError(LONE_SURROGATE)
    return value


def name(value: Any) -> str:
    """A text that shows something. Anything else raises `ValueError`."""
    if is_blank(text(value)):
        raise ValueError(f"{_shown(value)} shows nothing; write a name")
    return str(value)


def answer(value: Any) -> str | None:
    """A final answer as text; None where there is none, that is for null and for a text that shows
    nothing, such as white space, zero-width spaces or special tokens.

    A number is written as people do: 42 for 42.0. Anything else raises `ValueError`.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, str):
        return None if is_blank(text(value)) else value
    raise ValueError(f"{_shown(value)} is not an answer; write a text, a number or null")


def items(value: Any) -> list[Any]:
    """A list that is not empty. Anything else raises `ValueError`."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"{_shown(value)} is not a list with something in it; write [..., ...]")
    return value


def prompt(value: Any) -> str | list[ChatMessage]:
    """A prompt, from a text or from chat messages. Anything else raises `ValueError`."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return _conversation(value)
    raise ValueError(f"{_shown(value)} is not a prompt; write a text or a list of messages")


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout of a file."""

    response: Response
    known: Mapping[str, Any]
    """What the file says of it beside, such as its quality, by field."""


def rollout(value: Any) -> Rollout:
    """A rollout, from a text, a list of messages, or an object with `text` or `messages`.

    Anything else raises `ValueError`.
    """
    if isinstance(value, str):
        return Rollout(text(value), {})
    if isinstance(value, list):
        return Rollout(_conversation(value), {})
    if not isinstance(value, dict):
        raise ValueError(
            f"{_shown(value)} is neither a text, nor messages, nor an object with either; write one"
        )
    words = {name: value[name] for name in TextOrMessages.model_fields if name in value}
    return Rollout(_validated(TEXT_OR_MESSAGES, words).response(), value)


def rollouts(value: Any) -> list[Rollout]:
    """Rollouts, one at least, each as `rollout` reads it. Anything else raises `ValueError`."""
    return each(rollout, items(value))


def _conversation(value: list[Any]) -> list[ChatMessage]:
    return _validated(CONVERSATION, value)


def _validated(schema: TypeAdapter[Value], value: Any) -> Value:
    """The value as pydantic reads it. Raises `FieldFault` naming the first thing that is wrong."""
    try:
        return schema.validate_python(value)
    except ValidationError as error:
        loc, message = faults_of(error)[0]
    raise FieldFault(path(loc), message) if loc else ValueError(message)


def _shown(value: Any) -> str:
    """The value as JSON, cut where it is long."""
    written = json.dumps(value, default=repr)
    return written if len(written) <= MAX_SHOWN else f"{written[:MAX_SHOWN]}…"
