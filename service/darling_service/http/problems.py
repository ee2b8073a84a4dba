"""The app's exception handlers: each fault becomes RFC 9457 `application/problem+json`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount

from darling_service.errors import (
    MAX_NAME_CHARS,
    Overloaded,
    Problem,
    Unavailable,
    problem_body,
    shown,
)
from darling_service.request_id import HEADER, current

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
PROBLEM_TYPE = "application/problem+json"
CLIENT_CLOSED = 499
"""Status of a request whose caller has gone: only the metrics see it."""


def handle_problems(app: FastAPI) -> None:
    """Registers the handlers of everything that a route can raise."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _disconnected)
    app.add_exception_handler(Exception, _internal_error)


def problem_response(problem: Problem) -> Response:
    """The answer; the log is told its cause in words that repeat nothing that the caller sent."""
    if (request := current()) is not None:
        says_why = isinstance(problem, Overloaded | Unavailable)
        request.cause = problem.detail if says_why else problem.title
        request.refusal = problem if isinstance(problem, Overloaded) else None
    return _response(problem.status, problem.body(), problem.headers())


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _http_exception(request: Request, error: Exception) -> Response:
    """What Starlette raises by itself: an unknown route, or a wrong method."""
    assert isinstance(error, HTTPException)
    status, detail = error.status_code, error.detail
    headers = dict(error.headers or {})
    path = shown(request.url.path, MAX_NAME_CHARS)
    if status == HTTPStatus.NOT_FOUND:
        detail = f"there is no route {path}; /docs lists the routes"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{path} does not answer {request.method}; see /docs"
        if methods := _methods(request):
            headers["Allow"] = ", ".join(methods)
    title = HTTPStatus(status).phrase.capitalize()
    return _response(status, problem_body(status, title, detail), headers)


def _methods(request: Request) -> list[str]:
    """The methods that the path answers, over all of its routes: Starlette names those of the
    first."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]

    def answers(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return [method for method in METHODS if answers(method)]


async def _disconnected(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED)


async def _internal_error(request: Request, error: Exception) -> Response:
    """The cause is for the log (Starlette raises the error again), not for the caller."""
    detail = "the service failed on this request; its log has the cause"
    # The server closes the connection after this answer; without the header, the caller's next
    # request on the connection would be reset. This answer passes no middleware.
    headers = {"Connection": "close"}
    if (known := current()) is not None:
        headers[HEADER] = known.id
    return _response(500, problem_body(500, "Internal error", detail), headers)


def _response(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    request = current()
    own = {} if request is None else {"request_id": request.id}
    return Response(
        orjson.dumps({**body, **own}),
        status_code=status,
        headers=dict(headers),
        media_type=PROBLEM_TYPE,
    )
