"""What is wrong with a JSON value, and where: the same words for requests and for files."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from darling_models.schema_types import TAGS

Loc = tuple[str | int, ...]
"""The path of a value, such as ("groups", 0, "rollouts", 3, "quality")."""

LONE_SURROGATE = (
    "contains a lone surrogate (\\ud800 to \\udfff), which is not a character; remove it"
)
CURES = {
    "missing": "missing; add it",
    "model_type": "not an object; write one in {}",
    "dict_type": "not an object; write one in {}",
    "list_type": "not a list; write one in []",
    "string_type": "not a text; write one in quotes",
    "extra_forbidden": "unknown field; remove it or check its spelling",
    "finite_number": "must be a finite number, not NaN or Infinity",
    "string_unicode": LONE_SURROGATE,
    "too_short": "must not be empty",
}
"""Our message for a type of pydantic's errors; other errors keep pydantic's message."""


def faults_of(error: ValidationError) -> list[tuple[Loc, str]]:
    """The place of each fault, and the fault with its cure, without the caller's values."""
    return [
        (
            tuple(part for part in fault["loc"] if part not in TAGS),
            CURES.get(fault["type"]) or message_of(fault["type"], fault["msg"]),
        )
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def message_of(kind: str, message: str) -> str:
    """One of pydantic's messages in our words."""
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", message)
        return f"unknown value; choose one of {', '.join(names)}"
    if kind == "string_too_long":
        return f"longer than {re.findall('[0-9]+', message)[0]} characters; shorten it"
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def path(loc: Sequence[str | int]) -> str:
    """A place as a caller writes it, such as groups[0].prompt; "body" for the whole."""
    written = ""
    for part in loc:
        written += f"[{part}]" if isinstance(part, int) else f".{part}" if written else part
    return written or "body"


def lone_surrogates(value: Any, loc: Loc = ()) -> Iterator[Loc]:
    """Places of the texts and of the fields' names that cannot be encoded as UTF-8."""
    rest: list[tuple[Loc, Any]] = [(loc, value)]
    while rest:
        loc, value = rest.pop()
        if isinstance(value, str):
            if has_lone_surrogate(value):
                yield loc
        elif isinstance(value, list):
            rest += [((*loc, index), value[index]) for index in reversed(range(len(value)))]
        elif isinstance(value, dict):
            yield from ((*loc, name) for name in value if has_lone_surrogate(name))
            rest += [((*loc, name), value[name]) for name in reversed(value)]


def has_lone_surrogate(text: str) -> bool:
    """Whether a text cannot be encoded as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
