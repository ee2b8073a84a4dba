"""Everything that can go wrong, as one tree.

    DarlingError
    +-- Refused             the request is wrong and stays so until it is changed
    |   +-- BadRequest      400, 404, 409, 415, 422: `errors` names each field with its cure
    |   +-- Unauthorized    401, 403: the token is missing or wrong
    |   +-- TooLarge        413: over a limit that the message names
    +-- Unavailable         no response within `patience_s`; the same request may succeed later
    |   +-- Overloaded      the last response was 429, 503 or another that asks for a retry, or 500
    |   +-- TimedOut        no response within `timeout_s`, or within what `patience_s` left of it
    |   +-- Unreachable     no connection, or it broke before the response was complete
    +-- Misconfigured       the URL, certificate or proxy is wrong and stays so until it is changed
    +-- BadResponse         a response that this client cannot read

A trainer that catches `Unavailable` can leave a step without a training signal. It should never
catch `Refused` or `Misconfigured`: every later step would fail too.
"""

from __future__ import annotations

from typing import Any

MAX_DETAIL_CHARS = 1000
"""Characters of a response that an error repeats; what the service says has that many at most."""
MAX_ID_CHARS = 128
"""Characters of a request's id, of which the service keeps that many."""


class DarlingError(Exception):
    """The base of all errors of the client. Its text says what happened and what to do."""


class Refused(DarlingError):
    """The service refused the request; sent again, it would be refused again."""

    def __init__(self, message: str, status: int, errors: list[dict[str, Any]]) -> None:
        super().__init__(message, status, errors)
        self.status = status
        """The HTTP status, 4xx."""
        self.errors = errors
        """The wrong fields: `[{"loc": ["groups", 0, "quality"], "msg": ...}]`."""

    def __str__(self) -> str:
        return str(self.args[0])


class BadRequest(Refused):
    """The service does not accept the request as it is: a field of it, its route or its cohort."""


class Unauthorized(Refused):
    """The service wants a token, or another one."""


class TooLarge(Refused):
    """The request is over a limit of the service, which the message names."""


class Unavailable(DarlingError):
    """There was no response in time; the same request may succeed later."""


class Overloaded(Unavailable):
    """The service was reached, but it was too busy or failed."""


class TimedOut(Unavailable):
    """The service was reached, but took too long."""


class Unreachable(Unavailable):
    """There was no connection to the service, or it broke."""


class Misconfigured(DarlingError):
    """The service cannot be reached like this: the URL, its certificate or the proxy is wrong."""


class BadResponse(DarlingError):
    """The response is not what this client expects."""


def detail_of(problem: Any) -> str:
    """What the body of a refusal says, with the id by which the service's log names the request."""
    if not isinstance(problem, dict):
        return str(problem)[:MAX_DETAIL_CHARS]
    detail = str(problem.get("detail", problem))[:MAX_DETAIL_CHARS]
    request = problem.get("request_id")
    return f"{detail} [request {request[:MAX_ID_CHARS]}]" if isinstance(request, str) else detail


def refusal(status: int, problem: Any, url: str, other: str = "") -> Refused:
    """The error for a response of status 4xx. `problem`: its body, JSON or text. `other`: a clause
    where something else than the service sent it."""
    errors = list(problem.get("errors", [])) if isinstance(problem, dict) else []
    message = f"{url} answered {status}: {detail_of(problem)}{other}"
    if status in (401, 403) and not other:
        return Unauthorized(
            f"{message}; give the client token=... or set DARLING_API_KEY", status, errors
        )
    if status == 413:
        return TooLarge(message, status, errors)
    return BadRequest(message, status, errors)
