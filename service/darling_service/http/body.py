"""Request bodies: read within limits, decompressed, and parsed into their schema."""

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from darling_service.errors import BadRequest, Overloaded, TooLarge, UnsupportedType
from darling_service.http.body_budget import Held
from darling_service.http.state import service_of
from darling_service.schemas.outline import is_small
from darling_service.schemas.parse import Schema, parse

CHUNK_BYTES = 2**20
"""Bytes that are decompressed before the budget is asked for more."""


@asynccontextmanager
async def body_of(
    request: Request, schema: type[Schema], waits: bool = False
) -> AsyncIterator[Schema]:
    """The body as `schema`. Its bytes count as held until the end of the block.

    `waits`: the request waits for others, and what it keeps is counted by its cohort instead.
    Raises `UnsupportedType`, `TooLarge`, `Overloaded`, `BadRequest` or `Invalid`.
    """
    with service_of(request).bodies.holding() as held:
        body = await parse_body(await _content(request, held), schema)
        if waits:
            held.release()
        yield body


@asynccontextmanager
async def content_of(request: Request) -> AsyncIterator[bytes]:
    """The body's JSON document as it was sent, decompressed, which counts as held in the block.

    Raises `UnsupportedType`, `TooLarge`, `Overloaded` or `BadRequest`.
    """
    with service_of(request).bodies.holding() as held:
        yield await _content(request, held)


async def parse_body(raw: bytes, schema: type[Schema]) -> Schema:
    """A JSON document as `schema`. Raises `BadRequest` or `Invalid`."""
    if is_small(raw):
        return parse(raw, schema)
    return await asyncio.to_thread(parse, raw, schema)


async def _content(request: Request, held: Held) -> bytes:
    content_type = request.headers.get("content-type", "application/json")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedType(f"content-type is {content_type!r}; send application/json")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedType(
            f"content-encoding is {encoding!r}; send gzip, or leave the header out"
        )
    max_bytes = service_of(request).settings.max_body_bytes
    raw = await _read(request, max_bytes, held)
    if encoding == "gzip":
        raw = await asyncio.to_thread(_inflate, raw, max_bytes, held)
        held.hold(len(raw))
    return raw


async def _read(request: Request, max_bytes: int, held: Held) -> bytes:
    """The body as it came. `max_bytes` limits it; each piece of it is held."""
    content_length = request.headers.get("content-length", "")
    if content_length.isdecimal() and int(content_length) > max_bytes:
        raise _too_large(max_bytes)
    raw = bytearray()
    refused: Overloaded | None = None
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > max_bytes:
                raise _too_large(max_bytes)
            if refused is not None:
                continue  # read to its end, so that its caller hears why it is refused
            try:
                held.hold(received)
                raw += chunk
            except Overloaded as problem:
                refused = problem
                raw.clear()
                held.release()
    except ClientDisconnect:
        raise BadRequest("the connection closed before the body was complete") from None
    if refused is not None:
        raise refused
    return bytes(raw)


def _inflate(raw: bytes, max_bytes: int, held: Held) -> bytes:
    """The bytes inside, of which each piece is held beside `raw`.

    Raises `TooLarge` once more than the limit has come out, whatever is still inside.
    """
    body = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as compressed:
            while piece := compressed.read(min(CHUNK_BYTES, max_bytes + 1 - len(body))):
                held.hold(len(raw) + len(body) + len(piece))
                body += piece
    except (EOFError, OSError, zlib.error) as error:
        raise BadRequest(
            f"the body is not gzip, as content-encoding says: {error}; send gzip, or leave the "
            "header out"
        ) from None
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return bytes(body)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"the body exceeds max_body_bytes = {max_bytes}; send fewer groups in one request"
    )
