"""Fields of a record, read strictly: texts, verdicts, numbers, classes, prompts, rollouts.

The readers of single values take a JSON value and return it in its type, or raise `ValueError` with
the fault and the cure; `field`, `each` and `named` put its place before that, such as
`rollouts[2].text`. Whoever reads a file or a request uses these, so that one value means the same
everywhere.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from darling_models.texts.chat_templates import Turn, read_prompt, role_of
from darling_models.texts.special_tokens import is_blank

Value = TypeVar("Value")

MAX_SHOWN = 40
"""Characters of a wrong value that an error repeats."""
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
    rest: list[tuple[str, Any]] = [("", row)]
    while rest:
        place, value = rest.pop()
        if isinstance(value, str):
            named(place, text, value)
        elif isinstance(value, list):
            rest += [(f"{place}[{k}]", item) for k, item in reversed(list(enumerate(value)))]
        elif isinstance(value, dict):
            dot = "." if place else ""
            for name in value:
                named(f"{place}{dot}{ascii(name)[1:-1]}", text, name)
            rest += [(f"{place}{dot}{name}", item) for name, item in reversed(value.items())]


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
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(
            "contains a lone surrogate (\\ud800 to \\udfff), which is not a character; remove it"
        ) from None
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


def prompt(value: Any) -> str:
    """A prompt as one text, from a text or from chat messages. Else raises `ValueError`.

    Of several messages it is what the user last said, as the service compares them; a single one
    reads the same as the plain text.
    """
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{_shown(value)} is not a prompt; write a text or a list of messages")
    turns = each(_turn, value)
    if len(turns) == 1:
        return turns[0][1]
    return read_prompt([Turn(role_of(role), content) for role, content in turns]).text


def rollouts(value: Any) -> list[dict[str, Any]]:
    """Rollouts as objects, each with a `text` or `messages`: from texts, lists of messages, or
    objects as in /v1/rewards.

    Anything else raises `ValueError`. The messages themselves are not looked at.
    """
    return each(_rollout, items(value))


def rollout_texts(value: Any) -> tuple[str, ...]:
    """The texts of rollouts, which are texts, or objects with one. Else raises `ValueError`."""
    return tuple(each(lambda rollout: field(_rollout(rollout), "text", text), items(value)))


def _turn(value: Any) -> tuple[str, str]:
    """(role, content) of a message."""
    if not isinstance(value, dict):
        raise ValueError(f"{_shown(value)} is not a message; write an object")
    return field(value, "role", text), field(value, "content", text)


def _rollout(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": text(value)}
    if isinstance(value, list):
        return {"messages": value}
    if not isinstance(value, dict):
        raise ValueError(f"{_shown(value)} is neither a text nor an object with a text; write one")
    if "messages" in value:
        return value
    return {**value, "text": field(value, "text", text)}


def _shown(value: Any) -> str:
    """The value as JSON, cut where it is long."""
    written = json.dumps(value, default=repr)
    return written if len(written) <= MAX_SHOWN else f"{written[:MAX_SHOWN]}…"
