"""Requests that come at once are read one after the other, and in time or not at all.

Reading a request until it is let in or refused takes about a millisecond of the event loop.
Hundreds that come together would share it, so that all of them wait for the last. Here one begins
at each turn of the loop, in the order in which they came. While the queue has no room for more of a
size, those of that size whose turn is late are refused unparsed, in a tenth of the time.
"""

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darling_service.errors import NoRoom, RequestTimeout
from darling_service.http.deadline import HEADER
from darling_service.http.problems import problem_response
from darling_service.request_id import current

LATE_S = 0.02
"""Seconds that a request waits for its turn before it may be refused unparsed: twenty are read in
that time, and a caller is to have a refusal within 0.1 s."""
FRESH_S = 1.0
"""Seconds for which a refusal of one request speaks for others at most, or until there is room for
it if that is sooner. Then one is read again, as one is after each that was answered."""
REFUSED_AT_ONCE = 16
"""Requests that are refused at one turn of the event loop, in some milliseconds."""
MAX_BYTES = 2**16
"""Bytes of a body up to which its request may be refused unparsed. Larger ones are rarer and mostly
still on their way; reading them is most of what they cost here, and that would be done anyway."""
ROUTES = frozenset({"/v1/rewards", "/v1/partitions", "/v1/preferences", "/v1/equivalence"})
"""Routes of which every request takes its room in the queue by itself. A rollout that joins others
takes none, and a refusal would cost its group."""
NAMED_MODEL = b'"model"'
"""What is in the body of a request to another model, which has a queue of its own."""

Kind = tuple[str, int]
"""A route's path, and about how many bytes a body has, within a factor of four: requests of other
sizes have shares of their own."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request's head says of the room that it takes."""

    kind: Kind
    nbytes: int
    wait_s: float
    """Seconds that its caller waits; infinity where it names none."""


@dataclass(slots=True)
class Waiting:
    asked: Asked | None
    since: float
    turn: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Refused:
    """The latest request of its kind that was read and found no room in the queue."""

    asked: Asked
    until: float
    """Event-loop time until which it speaks for others."""
    problem: NoRoom
    route: Any

    def speaks_for(self, other: Asked) -> bool:
        """Whether the other takes as much room at least, and waits no longer."""
        longer = self.problem.reason == "time" and other.wait_s > self.asked.wait_s
        return other.nbytes >= self.asked.nbytes and not longer


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
        asked = _asked(scope)
        try:
            await self._turn(asked)
        except NoRoom as problem:
            # Who is answered while it sends its body may see a broken connection.
            try:
                body = await _body(receive)
            except RequestTimeout as late:
                await problem_response(late)(scope, receive, send)
                return
            if NAMED_MODEL not in body:
                if asked is not None and asked.kind in self._refused:
                    scope["route"] = self._refused[asked.kind].route  # for the metrics and the log
                await problem_response(problem)(scope, receive, send)
                return
            receive = _again(body, receive)
            await self._turn(None)
        await self._app(scope, receive, send)
        if asked is not None:
            self._learn(asked, scope.get("route"))

    def _learn(self, asked: Asked, route: Any) -> None:
        """Keeps what the request that was read says of others of its kind."""
        request = current()
        problem = None if request is None else request.refusal
        if not isinstance(problem, NoRoom):
            self._refused.pop(asked.kind, None)
        elif problem.retry_after_s is not None:
            until = asyncio.get_running_loop().time() + min(problem.retry_after_s, FRESH_S)
            self._refused[asked.kind] = Refused(asked, until, problem, route)

    async def _turn(self, asked: Asked | None) -> None:
        """Waits until the request may be read. Raises `NoRoom` if it is not read."""
        loop = asyncio.get_running_loop()
        if not self._calling:
            self._calling = True
            loop.call_soon(self._next)
            return
        waiting = Waiting(asked, loop.time(), loop.create_future())
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

    def _refusal(self, waiting: Waiting, now: float) -> NoRoom | None:
        """Why the request is refused unparsed, if it is."""
        asked = waiting.asked
        known = None if asked is None else self._refused.get(asked.kind)
        if asked is None or known is None or now > known.until or now - waiting.since < LATE_S:
            return None
        if not known.speaks_for(asked):
            return None
        return NoRoom(
            known.problem.reason,
            "many requests came at once, and the queue has no room for those of this size; send "
            "the request again later",
            retry_after_s=known.problem.retry_after_s,
        )


async def _body(receive: Receive) -> bytes:
    """The whole body, at most `MAX_BYTES` as its head says. Raises `RequestTimeout`."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Receives the body that was read, and then what follows it."""
    messages: deque[Message] = deque([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    return again


def _asked(scope: Scope) -> Asked | None:
    """What the request's head says; None where others do not speak for it: on other routes, and
    where the head does not say how long the plain body is, or that it is long."""
    headers = Headers(scope=scope)
    encoded = headers.get("content-encoding", "identity") != "identity"
    if scope["path"] not in ROUTES or encoded or "transfer-encoding" in headers:
        return None
    try:
        nbytes = int(headers.get("content-length", "")[:10])
        wait_s = float(headers.get(HEADER, math.inf))
    except ValueError:
        return None
    if not 0 <= nbytes <= MAX_BYTES or not wait_s >= 0:
        return None
    return Asked((scope["path"], nbytes.bit_length() // 2), nbytes, wait_s)
