"""JSON to schema, without HTTP: every fault names its field and its cure."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from darling_service.errors import MAX_ERRORS, BadRequest, FieldError, Invalid, Loc, Problem, path
from darling_service.schemas.fields import TAGS
from darling_service.schemas.outline import is_small, items_of

Schema = TypeVar("Schema", bound=BaseModel)

LONE_SURROGATE = (
    "contains a lone surrogate (\\ud800 to \\udfff), which is not a character; remove it"
)
SURROGATE_WORDS = ("hex escape", "code point")
"""Words by which the JSON parser's messages tell that a string is at fault, not the syntax."""
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
    """A JSON document as `schema`. Raises `BadRequest` if it is not JSON, else `Invalid`.

    The items of the main list, such as `groups`, are validated one by one until there are
    more than `MAX_ERRORS` errors: other threads run in between, and memory stays bounded.
    """
    field, item = _main_list(schema)
    items = [] if item is None and is_small(raw) else items_of(raw, field)
    if item is None or len(items) < 2:
        whole: Schema = _validated(schema, raw)
        return whole
    errors: list[FieldError] = []
    rest = []
    try:
        with_first = _validated(schema, raw[: items[0].stop] + raw[items[-1].stop :])
    except Invalid as problem:
        errors += problem.errors
    for index, place in enumerate(items[1:], start=1):
        if len(errors) > MAX_ERRORS:
            break
        try:
            rest.append(_validated(item, raw[place], (field, index)))
        except Invalid as problem:
            errors += problem.errors
    if errors:
        raise Invalid(errors)
    first = getattr(with_first, field)
    return with_first.model_copy(update={field: [*first, *rest]})


def validate(values: Mapping[str, Any], schema: type[Schema]) -> Schema:
    """Python values as `schema`. Raises `Invalid`."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        faults = _faults(error)
    raise Invalid([_field_error(fault) for fault in faults])


@lru_cache
def _main_list(schema: type[BaseModel]) -> tuple[str, type[BaseModel] | None]:
    """The field that is a list of models, and their schema; ("", None) if there is none."""
    for name, field in schema.model_fields.items():
        if get_origin(field.annotation) is list:
            (item,) = get_args(field.annotation)
            if isinstance(item, type) and issubclass(item, BaseModel):
                return name, item
    return "", None


def _validated(schema: type[Schema], raw: bytes, place: Loc = ()) -> Schema:
    """A JSON text, which stands at `place`, as `schema`. Raises as `parse` does."""
    try:
        return schema.model_validate_json(raw)
    except ValidationError as error:
        faults = _faults(error)
    if faults[0]["type"] == "json_invalid":
        raise _malformed(raw, str(faults[0]["msg"]), place)
    errors = [_field_error(fault) for fault in faults]
    raise Invalid([FieldError((*place, *error.loc), error.msg) for error in errors])


def _faults(error: ValidationError) -> list[Any]:
    """Pydantic's errors without the caller's values."""
    return error.errors(include_url=False, include_context=False, include_input=False)


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


def _malformed(raw: bytes, message: str, place: Loc) -> Problem:
    """Why the fast parser refuses: no JSON, or JSON with a lone surrogate."""
    if any(word in message for word in SURROGATE_WORDS):
        try:
            places = list(islice(_lone_surrogates(json.loads(raw), place), MAX_ERRORS))
        except (ValueError, RecursionError):
            places = []
        if places:
            return Invalid([FieldError(loc, LONE_SURROGATE) for loc in places])
    within = f" in {path(place)}" if place else ""
    return BadRequest(
        f"the body is not valid JSON{within}: {message.removeprefix('Invalid JSON: ')}"
    )


def _lone_surrogates(value: Any, loc: Loc) -> Iterator[Loc]:
    """Paths of the strings and of the field names that cannot be encoded as UTF-8."""
    if isinstance(value, str):
        if _has_lone_surrogate(value):
            yield loc
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _lone_surrogates(item, (*loc, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            if _has_lone_surrogate(name):
                yield (*loc, name)
            yield from _lone_surrogates(item, (*loc, name))


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
