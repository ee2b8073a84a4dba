"""The two things that every route does: answer in JSON, and give up when the caller has gone."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import orjson
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

Answer = TypeVar("Answer")


def json_response(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)


async def while_connected(request: Request, answer: Awaitable[Answer]) -> Answer:
    """Awaits `answer`, but cancels it when the caller goes, so that its queued work is dropped.

    Raises `ClientDisconnect` then. The request's body must have been read before.
    """
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientDisconnect
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    """Returns when the caller closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
