"""The two things that every route does: answer in JSON, and give up when the caller has gone."""

import asyncio
import math
from collections.abc import Awaitable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import orjson
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from darling_service.errors import Unavailable
from darling_service.http.deadline import HEADER

Answer = TypeVar("Answer")

RETRY_AFTER_DUE_S = 1.0
"""Seconds after which a caller that gave up may ask again: what was computed for it is cached."""


def json_response(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)


async def grouped_response(content: Any) -> Response:
    """A response in JSON; its groups are written one by one, and other requests served between."""
    if not hasattr(content, "groups"):
        return json_response(content)
    groups = []
    for group in content.groups:
        groups.append(orjson.Fragment(orjson.dumps(group)))
        await asyncio.sleep(0)
    others = {field.name: getattr(content, field.name) for field in fields(content)}
    return json_response({**others, "groups": groups})


async def while_connected(
    request: Request, answer: Awaitable[Answer], due: float = math.inf
) -> Answer:
    """Awaits `answer`, but cancels it when the caller goes or `due`, the event-loop time at which
    it gives up, has come: work of it that is still queued is then dropped.

    Raises `ClientDisconnect` or `Unavailable` then. The request's body must have been read before.
    """
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_disconnected(request))
    left_s = None if due == math.inf else due - asyncio.get_running_loop().time()
    try:
        await asyncio.wait(
            (answering, leaving), timeout=left_s, return_when=asyncio.FIRST_COMPLETED
        )
        if leaving.done() and not answering.done():
            raise ClientDisconnect
        if not answering.done():
            late = f"not answered within {HEADER}; send it again, with more time"
            raise Unavailable(late, retry_after_s=RETRY_AFTER_DUE_S)
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    """Returns when the caller closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
