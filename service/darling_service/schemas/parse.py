"""JSON to schema, without HTTP: every fault names its field and its cure."""

import json
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from darling_models.faults import LONE_SURROGATE, Loc, faults_of, lone_surrogates, path
from darling_service.errors import MAX_ERRORS, BadRequest, FieldError, Invalid, Problem
from darling_service.schemas.outline import is_small, items_of

Schema = TypeVar("Schema", bound=BaseModel)

NOT_JSON = "invalid JSON: "
"""How the parser's message for a text that is no JSON begins."""
SURROGATE_WORDS = ("hex escape", "code point")
"""Words by which the JSON parser's messages tell that a string is at fault, not the syntax."""


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
        faults = faults_of(error)
    raise Invalid([FieldError(*fault) for fault in faults])


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
        faults = faults_of(error)
    if faults[0][1].startswith(NOT_JSON):
        raise _malformed(raw, faults[0][1].removeprefix(NOT_JSON), place)
    raise Invalid([FieldError((*place, *loc), message) for loc, message in faults])


def _malformed(raw: bytes, message: str, place: Loc) -> Problem:
    """Why the fast parser refuses: no JSON, or JSON with a lone surrogate."""
    if any(word in message for word in SURROGATE_WORDS):
        try:
            places = list(islice(lone_surrogates(json.loads(raw), place), MAX_ERRORS))
        except (ValueError, RecursionError):
            places = []
        if places:
            return Invalid([FieldError(loc, LONE_SURROGATE) for loc in places])
    within = f" in {path(place)}" if place else ""
    return BadRequest(f"the body is not valid JSON{within}: {message}")
