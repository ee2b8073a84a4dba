"""The ASGI app: routes, problem answers, request metrics, and the models' life."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import orjson
from darling_models.errors import ModelError
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darling_service import __version__
from darling_service.cohorts.cohorts import Cohorts
from darling_service.errors import Problem, Unauthorized, problem_body
from darling_service.http.auth import require_key
from darling_service.http.openapi import describe
from darling_service.http.routes import router
from darling_service.pipeline import Pipeline
from darling_service.quality.sources import Qualities
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry
from darling_service.trainers import router as trainers

log = logging.getLogger(__name__)

CLIENT_CLOSED = 499  # nobody reads it; metrics count it


def create_app(
    settings: Settings, on_failed_start: Callable[[ModelError], None] | None = None
) -> FastAPI:
    """The service. Models load in the background, and /health/ready tells when they answer.

    `on_failed_start` is called when they cannot be loaded; without it the error is only logged.
    """
    pipeline = Pipeline(settings)
    qualities = Qualities(settings)

    async def load() -> None:
        try:
            await qualities.start()
            await pipeline.start()
        except ModelError as error:
            log.error("%s", error)
            if on_failed_start is not None:
                on_failed_start(error)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(load())
        yield
        loading.cancel()
        await drain(app)

    app = FastAPI(
        title="Darling Reward",
        version=__version__,
        description="Prompts and rollout groups in, diversity-scaled rewards out.",
        lifespan=lifespan,
    )
    app.state.pipeline = pipeline
    app.state.cohorts = Cohorts(pipeline)
    app.state.qualities = qualities
    app.include_router(router)
    app.include_router(trainers)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _fault)
    app.add_middleware(RequireKey, key=settings.api_key)
    app.add_middleware(RequestMetrics, telemetry=pipeline.telemetry)
    return app


async def drain(app: FastAPI) -> None:
    """Refuses new requests and answers those in flight: rewards if they are soon done, or 503."""
    app.state.cohorts.drain()
    await app.state.pipeline.drain()


class RequireKey:
    """Answers 401 to callers without the API key, whatever they ask for but health."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            try:
                require_key(request, self._key)
            except Unauthorized as problem:
                await (await _problem(request, problem))(scope, receive, send)
                return
        await self._app(scope, receive, send)


class RequestMetrics:
    """Counts and times every answer by its route's template."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            with self._telemetry.in_flight.track_inprogress():
                await self._app(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._telemetry.requests.labels(route, str(status)).inc()
            self._telemetry.seconds.labels(route).observe(time.perf_counter() - started)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(error.status, error.body(), error.headers())


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"no route {request.url.path}; see /docs"
    title = HTTPStatus(error.status_code).phrase.capitalize()
    return _answer(
        error.status_code, problem_body(error.status_code, title, detail), error.headers or {}
    )


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED)


async def _fault(request: Request, error: Exception) -> Response:
    """What went wrong inside is for the log (Starlette raises it again), not for the caller."""
    detail = "the service failed on this request; see its log"
    # The server closes the connection after a fault; without the word, the caller's next request
    # on it would be reset.
    return _answer(500, problem_body(500, "Internal error", detail), {"Connection": "close"})


def _answer(status: int, body: dict[str, object], headers: object) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=status,
        headers=dict(headers),  # type: ignore[call-overload]
        media_type="application/problem+json",
    )
