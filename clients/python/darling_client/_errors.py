"""Everything that can go wrong, as one tree.

    DarlingError
    +-- Refused             the request is wrong and stays so until it is changed
    |   +-- BadRequest      400, 404, 415, 422: `errors` names each field with its cure
    |   +-- Unauthorized    401, 403: the token is missing or wrong
    |   +-- TooLarge        413: over a limit that the message names
    +-- Unavailable         no answer within `patience_s`; the same request may succeed later
    |   +-- Overloaded      the service said 429 or 503 to the end
    |   +-- TimedOut        it took longer than `timeout_s` or `patience_s`
    |   +-- Unreachable     no connection, or it broke before the answer was complete
    +-- BadAnswer           an answer that this client does not understand

A trainer that catches `Unavailable` can leave a step without signal. It should never catch
`Refused`: every later step would be refused too.
"""

from __future__ import annotations

from typing import Any


class DarlingError(Exception):
    """Some text of what happened and what to do."""


class Refused(DarlingError):
    def __init__(self, message: str, status: int, errors: list[dict[str, Any]]) -> None:
        super().__init__(message, status, errors)
        self.status = status
        self.errors = errors
        """What is wrong where: `[{"loc": ["groups", 0, "quality"], "msg": ...}]`."""

    def __str__(self) -> str:
        return str(self.args[0])


class BadRequest(Refused):
    pass


class Unauthorized(Refused):
    pass


class TooLarge(Refused):
    pass


class Unavailable(DarlingError):
    pass


class Overloaded(Unavailable):
    pass


class TimedOut(Unavailable):
    pass


class Unreachable(Unavailable):
    pass


class BadAnswer(DarlingError):
    pass


def refusal(status: int, problem: Any, url: str) -> Refused:
    """What an answer of status 4xx means; `problem` is its body, JSON or text."""
    detail, errors = str(problem)[:500], []
    if isinstance(problem, dict):
        detail, errors = str(problem.get("detail", detail)), list(problem.get("errors", []))
    message = f"{url} answered {status}: {detail}"
    if status in (401, 403):
        return Unauthorized(
            f"{message}; give the client token=... or set DARLING_API_KEY", status, errors
        )
    if status == 413:
        return TooLarge(message, status, errors)
    return BadRequest(message, status, errors)
