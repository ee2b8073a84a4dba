"""Request bodies: read within a limit, parsed and validated, every fault named with its cure."""

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from darling_service.errors import (
    BadRequest,
    FieldError,
    Invalid,
    Loc,
    Problem,
    TooLarge,
    UnsupportedType,
)
from darling_service.schemas.fields import TAGS

Body = TypeVar("Body", bound=BaseModel)

PARSE_IN_THREAD_BYTES = 256 * 2**10
"""From here on, parsing takes milliseconds that the event loop owes to other requests."""


async def read_body(request: Request, schema: type[Body], max_bytes: int) -> Body:
    """Raises `UnsupportedType`, `TooLarge`, `BadRequest` or `Invalid`."""
    declared = request.headers.get("content-type", "application/json")
    if declared.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedType(f"content-type is {declared!r}; send application/json")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedType(f"content-encoding is {encoding!r}; send gzip, or drop the header")
    raw = await _read(request, max_bytes)
    if encoding == "gzip":
        raw = await asyncio.to_thread(_inflate, raw, max_bytes)
    if len(raw) < PARSE_IN_THREAD_BYTES:
        return parse(raw, schema)
    return await asyncio.to_thread(parse, raw, schema)


def parse(raw: bytes, schema: type[Body]) -> Body:
    """A JSON document as `schema`. Raises `BadRequest` or `Invalid`."""
    try:
        return schema.model_validate_json(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    if problems[0]["type"] == "json_invalid":
        raise _malformed(raw, str(problems[0]["msg"]))
    raise Invalid([_field_error(problem) for problem in problems])


def valid(values: Mapping[str, Any], schema: type[Body]) -> Body:
    """Python values as `schema`. Raises `Invalid`."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    raise Invalid([_field_error(problem) for problem in problems])


def _inflate(raw: bytes, max_bytes: int) -> bytes:
    """Raises `TooLarge` once more than the limit has come out, whatever is still inside."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as compressed:
            body = compressed.read(max_bytes + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise BadRequest(f"the body is not gzip as content-encoding says: {error}") from None
    if len(body) > max_bytes:
        raise _over(max_bytes)
    return body


def _over(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"the body is over max_body_bytes = {max_bytes}; send fewer groups in one request"
    )


async def _read(request: Request, max_bytes: int) -> bytes:
    over = _over(max_bytes)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise over
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > max_bytes:
                raise over
    except ClientDisconnect:
        raise BadRequest("the connection closed before the body was complete") from None
    return bytes(raw)


def _malformed(raw: bytes, message: str) -> Problem:
    """Why the fast parser refuses: no JSON, or JSON with a lone surrogate in a field."""
    try:
        places = [FieldError(loc, CURES["string_unicode"]) for loc in _surrogates(json.loads(raw))]
    except (ValueError, RecursionError):
        places = []
    if places:
        return Invalid(places)
    return BadRequest(f"the body is not valid JSON: {message.removeprefix('Invalid JSON: ')}")


def _surrogates(value: Any, loc: Loc = ()) -> Iterator[Loc]:
    """Paths of the strings that cannot be encoded as UTF-8."""
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield loc
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _surrogates(item, (*loc, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _surrogates(item, (*loc, name))


CURES = {
    "missing": "missing; add it",
    "extra_forbidden": "unknown field; remove it or check its spelling",
    "finite_number": "must be a finite number; send one, not NaN or Infinity",
    "string_unicode": "has a lone surrogate (\\ud800 to \\udfff), which is no character; remove it",
    "too_short": "must not be empty",
}


def _field_error(problem: Any) -> FieldError:
    loc = tuple(part for part in problem["loc"] if part not in TAGS)
    message = CURES.get(problem["type"], str(problem["msg"]).removeprefix("Value error, "))
    return FieldError(loc, message[0].lower() + message[1:])
