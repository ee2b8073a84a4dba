"""JSON to schema, without HTTP: every fault names its field and its cure."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from darling_service.errors import BadRequest, FieldError, Invalid, Loc, Problem
from darling_service.schemas.fields import TAGS

Schema = TypeVar("Schema", bound=BaseModel)

LONE_SURROGATE = (
    "contains a lone surrogate (\\ud800 to \\udfff), which is not a character; remove it"
)
CURES = {
    "missing": "missing; add it",
    "model_type": "not an object; write one in {}",
    "extra_forbidden": "unknown field; remove it or check its spelling",
    "finite_number": "must be a finite number, not NaN or Infinity",
    "string_unicode": LONE_SURROGATE,
    "too_short": "must not be empty",
}
"""Our message for a type of pydantic's errors; other errors keep pydantic's message."""


def parse(raw: bytes, schema: type[Schema]) -> Schema:
    """A JSON document as `schema`. Raises `BadRequest` if it is not JSON, else `Invalid`."""
    try:
        return schema.model_validate_json(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    if faults[0]["type"] == "json_invalid":
        raise _malformed(raw, str(faults[0]["msg"]))
    raise Invalid([_field_error(fault) for fault in faults])


def validate(values: Mapping[str, Any], schema: type[Schema]) -> Schema:
    """Python values as `schema`. Raises `Invalid`."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    raise Invalid([_field_error(fault) for fault in faults])


def _field_error(fault: Any) -> FieldError:
    loc = tuple(part for part in fault["loc"] if part not in TAGS)
    message = CURES.get(fault["type"]) or message_of(fault["type"], str(fault["msg"]))
    return FieldError(loc, message)


def message_of(kind: str, message: str) -> str:
    """One of pydantic's messages in our words."""
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", message)
        return f"unknown value; choose one of {', '.join(names)}"
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _malformed(raw: bytes, message: str) -> Problem:
    """Why the fast parser refuses: no JSON, or JSON with a lone surrogate in a field."""
    try:
        places = list(_lone_surrogates(json.loads(raw)))
    except (ValueError, RecursionError):
        places = []
    if places:
        return Invalid([FieldError(loc, LONE_SURROGATE) for loc in places])
    return BadRequest(f"the body is not valid JSON: {message.removeprefix('Invalid JSON: ')}")


def _lone_surrogates(value: Any, loc: Loc = ()) -> Iterator[Loc]:
    """Paths of the strings that cannot be encoded as UTF-8."""
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield loc
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _lone_surrogates(item, (*loc, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _lone_surrogates(item, (*loc, name))
