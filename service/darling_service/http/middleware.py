"""What surrounds every request: HEAD, the API key, its id, its metrics and its line of the log."""

import logging
import time
from collections import defaultdict
from contextlib import ExitStack

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darling_service.caller import CALLER
from darling_service.errors import Overloaded, Unauthorized
from darling_service.http.allowance import Allowance
from darling_service.http.auth import is_open, key_of
from darling_service.http.problems import problem_response
from darling_service.keys import Keys
from darling_service.request_id import HEADER, CurrentRequest, begin
from darling_service.telemetry import Telemetry
from darling_service.tracing import describe, request_span

log = logging.getLogger(__name__)

QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Routes that probes ask every few seconds: their lines are written with `log_level` debug."""


class RequireKey:
    """Answers 401 to callers without an API key and 429 to those over the limits of theirs.

    The health checks, the documentation and the console's files are open. Whoever answers a request
    finds the name of its key in `CALLER`.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys
        self._allowances = defaultdict[str, Allowance](Allowance)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._keys.required or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        with ExitStack() as answering:
            try:
                key = key_of(Request(scope), self._keys)
                answering.enter_context(self._allowances[key.name].request(key))
            except (Unauthorized, Overloaded) as problem:
                await problem_response(problem)(scope, receive, send)
                return
            CALLER.set(key.name)
            await self._app(scope, receive, send)


class AnswerHead:
    """Answers HEAD as GET without the body, as health checks and link checkers expect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)


class RequestSigns:
    """Gives every HTTP request an id, and counts, times and logs its answer under its route's
    template."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        headers = Headers(scope=scope)
        request = begin(headers.get(HEADER))

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request.id
            await send(message)

        started = time.perf_counter()
        with self._telemetry.in_flight.track_inprogress(), request_span(headers) as own:
            try:
                await self._app(scope, receive, send_observed)
            except Exception as error:
                request.cause = type(error).__name__  # Starlette answers, and uvicorn logs the rest
                raise
            finally:
                method, route = scope["method"], getattr(scope.get("route"), "path", "unmatched")
                seconds = time.perf_counter() - started
                self._telemetry.requests.labels(route, str(status)).inc()
                self._telemetry.seconds.labels(route).observe(seconds)
                if request.refusal is not None:
                    self._telemetry.refused.labels(request.refusal.reason).inc()
                describe(own, method, route, status, request.id)
                _log(method, route, status, seconds, request)


def _log(method: str, route: str, status: int, seconds: float, request: CurrentRequest) -> None:
    """One line about an answer: a warning if the service has failed."""
    level = logging.WARNING if status >= 500 else logging.INFO
    level = logging.DEBUG if route in QUIET else level
    if not log.isEnabledFor(level):
        return
    numbers = (status, seconds, request.rollouts)
    cause = f": {request.cause}" if request.cause else ""
    fields = {
        **{"method": method, "route": route, "cause": request.cause},
        **dict(zip(("status", "seconds", "rollouts"), numbers, strict=True)),
    }
    words = "%s %s %d in %.3f s, rollouts: %d%s"
    log.log(level, words, method, route, *numbers, cause, extra={"fields": fields})
