"""Request bodies: read within a limit, decompressed, and parsed into their schema."""

import asyncio
import gzip
import io
import zlib

from starlette.requests import ClientDisconnect, Request

from darling_service.errors import BadRequest, TooLarge, UnsupportedType
from darling_service.schemas.outline import is_small
from darling_service.schemas.parse import Schema, parse
from darling_service.tracing import span


async def read_body(request: Request, schema: type[Schema], max_bytes: int) -> Schema:
    """The body as `schema`; `max_bytes` limits it as sent and as decompressed.

    Raises `UnsupportedType`, `TooLarge`, `BadRequest` or `Invalid`.
    """
    with span("read"):
        return await parse_body(await read_content(request, max_bytes), schema)


async def read_content(request: Request, max_bytes: int) -> bytes:
    """The body's JSON document as it was sent, decompressed.

    Raises `UnsupportedType`, `TooLarge` or `BadRequest`.
    """
    content_type = request.headers.get("content-type", "application/json")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedType(f"content-type is {content_type!r}; send application/json")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedType(
            f"content-encoding is {encoding!r}; send gzip, or leave the header out"
        )
    raw = await _read(request, max_bytes)
    if encoding == "gzip":
        raw = await asyncio.to_thread(_inflate, raw, max_bytes)
    return raw


async def parse_body(raw: bytes, schema: type[Schema]) -> Schema:
    """A JSON document as `schema`. Raises `BadRequest` or `Invalid`."""
    if is_small(raw):
        return parse(raw, schema)
    return await asyncio.to_thread(parse, raw, schema)


async def _read(request: Request, max_bytes: int) -> bytes:
    content_length = request.headers.get("content-length", "")
    if content_length.isdecimal() and int(content_length) > max_bytes:
        raise _too_large(max_bytes)
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > max_bytes:
                raise _too_large(max_bytes)
    except ClientDisconnect:
        raise BadRequest("the connection closed before the body was complete") from None
    return bytes(raw)


def _inflate(raw: bytes, max_bytes: int) -> bytes:
    """Raises `TooLarge` once more than the limit has come out, whatever is still inside."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as compressed:
            body = compressed.read(max_bytes + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise BadRequest(
            f"the body is not gzip, as content-encoding says: {error}; send gzip, or leave the "
            "header out"
        ) from None
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"the body exceeds max_body_bytes = {max_bytes}; send fewer groups in one request"
    )
