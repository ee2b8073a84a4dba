"""What surrounds every request: HEAD, the API key, and the request metrics."""

import time
from collections import defaultdict
from contextlib import ExitStack

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darling_service.caller import CALLER
from darling_service.errors import Overloaded, Unauthorized
from darling_service.http.allowance import Allowance
from darling_service.http.auth import is_open, key_of
from darling_service.http.problems import problem_response
from darling_service.keys import Keys
from darling_service.telemetry import Telemetry


class RequireKey:
    """Answers 401 to callers without an API key and 429 to those over the limits of theirs.

    The health checks and the documentation are open. Whoever answers a request finds the name of
    its key in `CALLER`.
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


class RequestMetrics:
    """Counts and times every HTTP answer under its route's template."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            with self._telemetry.in_flight.track_inprogress():
                await self._app(scope, receive, send_observed)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._telemetry.requests.labels(route, str(status)).inc()
            self._telemetry.seconds.labels(route).observe(time.perf_counter() - started)
