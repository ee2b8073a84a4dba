"""Requests that come at once are read one after the other, and in time or not at all.

Reading a request until it is let in or refused takes about a millisecond of the event loop.
Hundreds that come together would share it, so that all of them wait for the last. Here one begins
at each turn of the loop, in the order in which they came. While the queue has no room for more of a
size, those of that size whose turn is late are refused unparsed, in a tenth of the time.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from darling_service.errors import Overloaded, Problem, RequestTimeout
from darling_service.http.deadline import HEADER
from darling_service.http.problems import problem_response
from darling_service.request_id import current

LATE_S = 0.02
"""Seconds that a request waits for its turn before it may be refused unparsed: twenty are read in
that time, and a caller is to have a refusal within 0.1 s."""
FRESH_S = 1.0
"""Seconds for which a refusal of one request speaks for others of its kind at most, or until there
is room for it if that is sooner. Then one is read again."""
REFUSED_AT_ONCE = 16
"""Requests that are refused at one turn of the event loop, in some milliseconds."""

MAX_BYTES = 2**16
"""Bytes of a body up to which its request may be refused unparsed. Larger ones are rarer and mostly
still on their way; reading them is most of what they cost here, and that would be done anyway."""

MAX_WAIT_S = 2**20
"""Seconds of a caller's patience that are told from longer ones."""

Kind = tuple[str, int, int]
"""A route's path, about how many bytes a body has, within a factor of four, and about how long its
caller waits, within a factor of two."""


@dataclass(slots=True)
class Waiting:
    kind: Kind | None
    since: float
    turn: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Refused:
    """The latest request of its kind that was read and found no room in the queue."""

    until: float
    """Event-loop time until which it speaks for others."""
    problem: Overloaded
    route: Any


class InTurn:
    """Lets the requests that send a body begin one by one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waiting: deque[Waiting] = deque()
        self._calling = False
        """Whether somebody's turn is to come at the next turn of the event loop."""
        self._refused: dict[Kind, Refused] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        kind = _kind_of(scope)
        try:
            await self._turn(kind)
        except Overloaded as problem:
            if kind in self._refused:  # for the metrics and the log, which name the route
                scope["route"] = self._refused[kind].route
            await problem_response(await _after_body(receive, problem))(scope, receive, send)
            return
        await self._app(scope, receive, send)
        request = current()
        refusal = None if request is None else request.refusal
        if kind is not None and refusal is not None and refusal.reason in ("queue", "time"):
            room_s = min(refusal.retry_after_s or 0.0, FRESH_S)
            until = asyncio.get_running_loop().time() + room_s
            self._refused[kind] = Refused(until, refusal, scope.get("route"))

    async def _turn(self, kind: Kind | None) -> None:
        """Waits until the request may be read. Raises `Overloaded` if it is not read."""
        loop = asyncio.get_running_loop()
        if not self._calling:
            self._calling = True
            loop.call_soon(self._next)
            return
        waiting = Waiting(kind, loop.time(), loop.create_future())
        # Whoever is cancelled at that moment hears of no refusal; asyncio must not complain of it.
        waiting.turn.add_done_callback(lambda turn: turn.cancelled() or turn.exception())
        self._waiting.append(waiting)
        await waiting.turn

    def _next(self) -> None:
        """Gives the first that waits its turn, past those that are refused."""
        loop = asyncio.get_running_loop()
        for _ in range(REFUSED_AT_ONCE):
            while self._waiting and self._waiting[0].turn.done():  # its caller has gone
                self._waiting.popleft()
            if not self._waiting:
                self._calling = False
                return
            first = self._waiting.popleft()
            if (problem := self._refusal(first, loop.time())) is None:
                first.turn.set_result(None)
                break
            first.turn.set_exception(problem)
        loop.call_soon(self._next)

    def _refusal(self, waiting: Waiting, now: float) -> Overloaded | None:
        """Why the request is refused unparsed, if it is."""
        known = None if waiting.kind is None else self._refused.get(waiting.kind)
        if known is None or now > known.until or now - waiting.since < LATE_S:
            return None
        return Overloaded(
            known.problem.reason,
            "many requests came at once, and the queue has no room for those of this size; send "
            "the request again later",
            retry_after_s=known.problem.retry_after_s,
        )


async def _after_body(receive: Receive, problem: Problem) -> Problem:
    """The problem once the body is there: who is answered while it sends may see a broken
    connection. A body that stalls is one of its own."""
    try:
        while (await receive()).get("more_body", False):
            pass
    except RequestTimeout as late:
        return late
    return problem


def _kind_of(scope: Scope) -> Kind | None:
    """The request's kind; None where it does not say how long its body is, or that is long."""
    headers = Headers(scope=scope)
    length, wait = headers.get("content-length", ""), headers.get(HEADER, "0")
    try:
        nbytes, wait_s = int(length[:10]), min(float(wait), MAX_WAIT_S)
    except ValueError:
        return None
    if not 0 <= nbytes <= MAX_BYTES or not wait_s >= 0:
        return None
    return scope["path"], nbytes.bit_length() // 2, int(wait_s).bit_length()
