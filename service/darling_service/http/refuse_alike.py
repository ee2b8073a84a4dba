"""Refusing at once what is like a request that was refused a moment ago.

To read a request and to find out what it would cost takes a millisecond or more. Under overload
hundreds of refused ones a second would take that time from those that are let in, and would
themselves wait for their refusals. So after a refusal for the queue or for the time, a request of
the same route, of about the same size or a little larger, and with no more time to wait gets the
same answer by its headers alone: until any other request has been answered, which makes room, or
for `HOLD_S` at most. Only small bodies, which come with their headers, are refused so: whoever is
answered in the middle of a large one may see a broken connection.
"""

import math
from asyncio import get_running_loop
from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from darling_service.errors import Invalid, Overloaded
from darling_service.http.body_budget import SMALL_BYTES
from darling_service.http.deadline import wait_s_of
from darling_service.http.problems import problem_response
from darling_service.request_id import current

HOLD_S = 0.2
"""Seconds for which a refusal is repeated at most, a fraction of the least `Retry-After`."""
SIZES_PER_OCTAVE = 4
"""Kinds of sizes from one to its double, so that those of a kind differ by a fifth."""


class Kind(NamedTuple):
    """Which requests are alike."""

    path: str
    encoding: str
    size: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was refused."""

    problem: Overloaded
    nbytes: int
    wait_s: float
    """Seconds that its caller would have waited."""
    until: float
    """Event-loop time from which the refusal is not repeated."""


class RefuseAlike:
    """Repeats refusals; everything else is the app's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._refused: dict[Kind, Refused] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (asked := _asked(scope)) is None:
            await self._app(scope, receive, send)
            return
        kind, nbytes, wait_s = asked
        last = self._refused.get(kind)
        if (
            last is not None
            and get_running_loop().time() < last.until
            and nbytes >= last.nbytes
            and wait_s <= last.wait_s
        ):
            await problem_response(last.problem)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._learn(kind, nbytes, wait_s)

    def _learn(self, kind: Kind, nbytes: int, wait_s: float) -> None:
        """Keeps the refusal of a request, or forgets all after another answer."""
        request = current()
        problem = None if request is None else request.refusal
        if problem is None:
            self._refused.clear()
        elif problem.reason in ("queue", "time"):
            longest_s = math.inf if problem.reason == "queue" else wait_s
            until = get_running_loop().time() + HOLD_S
            self._refused[kind] = Refused(problem, nbytes, longest_s, until)


def _asked(scope: Scope) -> tuple[Kind, int, float] | None:
    """The kind of a request, the bytes of its body and the seconds that its caller waits; None
    where its headers do not say them, or the body is a large one."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    request = Request(scope)
    length = request.headers.get("content-length", "")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    try:
        nbytes, wait_s = int(length), wait_s_of(request)
        size = int(SIZES_PER_OCTAVE * math.log2(nbytes + 1))
    except (ValueError, Invalid):
        return None
    return (Kind(scope["path"], encoding, size), nbytes, wait_s) if nbytes <= SMALL_BYTES else None
