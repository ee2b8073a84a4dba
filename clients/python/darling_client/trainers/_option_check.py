"""Options of a request checked where they are written, before a trainer's first reward.

`options.json` holds the service's schemas of `reward` and `partition`; a test holds it equal to
them. What depends on several options at once is left to the service.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from darling_client._json import plain

LIMITS = {
    "minimum": ("at least", operator.ge),
    "maximum": ("at most", operator.le),
    "exclusiveMinimum": ("above", operator.gt),
    "exclusiveMaximum": ("below", operator.lt),
}
"""Keywords of JSON Schema that limit a number, in words and as a check."""


def checked_options(name: str, options: Any) -> dict[str, Any]:
    """The options of `reward` or `partition`, with NumPy's and torch's numbers as Python's.

    Raises `ValueError` that names the wrong option and says what is possible.
    """
    try:
        values = plain(options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
    if fault := _fault(name, values, _schemas()[name]):
        raise ValueError(fault)
    result: dict[str, Any] = values
    return result


def unknown_name(name: str, known: Iterable[str], place: str = "") -> str:
    """The message about a name that is not among the known ones."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1)
    question = f"; did you mean {close[0]}?" if close else ";"
    return f"{place}{name} is no option{question} known are {', '.join(known)}"


@cache
def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = json.loads(Path(__file__).with_name("options.json").read_text())
    return schemas


def _fault(place: str, value: Any, schema: Mapping[str, Any]) -> str | None:
    """What is wrong with the value; None if nothing is."""
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        faults = [_fault(place, value, one) for one in alternatives]
        if None in faults:
            return None
        wanted = " or ".join(_wanted(one) for one in alternatives if one.get("type") != "null")
        return f"{place} is {value!r:.80}; give {wanted}"
    if not _fits(value, schema):
        return f"{place} is {value!r:.80}; give {_wanted(schema)}"
    if schema.get("type") == "object":
        known = schema["properties"]
        for name, item in value.items():
            if name not in known:
                return unknown_name(name, known, f"{place}.")
            if fault := _fault(f"{place}.{name}", item, known[name]):
                return fault
    return None


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    types: dict[str, bool] = {
        "null": value is None,
        "boolean": isinstance(value, bool),
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "object": isinstance(value, dict),
    }
    if not types[schema["type"]] or value not in schema.get("enum", [value]):
        return False
    if value != schema.get("const", value):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return all(
        within(value, schema[keyword])
        for keyword, (_, within) in LIMITS.items()
        if keyword in schema
    )


def _wanted(schema: Mapping[str, Any]) -> str:
    """What the schema takes, in words."""
    if "enum" in schema or "const" in schema:
        return f"one of {', '.join(schema.get('enum', [schema.get('const')]))}"
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(map(_wanted, schema.get("anyOf") or schema["oneOf"]))
    if schema["type"] == "object":
        return f"a mapping with some of {', '.join(sorted(schema['properties']))}"
    limits = " and ".join(
        f"{words} {schema[keyword]:g}"
        for keyword, (words, _) in LIMITS.items()
        if keyword in schema
    )
    kind = {"boolean": "true or false", "string": "a text", "integer": "a whole number"}
    return f"{kind.get(schema['type'], 'a finite number')} {limits}".strip()
