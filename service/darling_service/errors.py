"""Every fault that a caller is told of, as one tree.

    Problem
    +-- BadRequest           400  the body is not JSON
    +-- Unauthorized         401  the API key is missing or wrong
    +-- Conflict             409  the rollout contradicts what its cohort knows
    +-- TooLarge             413  the body exceeds its limit
    +-- UnsupportedType      415  the body is not declared as JSON
    +-- Invalid              422  fields are wrong; each is named with its fault and its cure
    +-- FailedDependency     424  a server behind this one refuses it, until its settings are mended
    +-- Overloaded           429  queue or memory is full; Retry-After says when to come back
    +-- Unavailable          503  the model failed, is not ready, or the service is stopping
        +-- ModelFailed      503  the model failed on the texts of this request; others may be fine

`http.problems` answers each as RFC 9457 `application/problem+json`; nothing in this module knows
the web framework.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class FieldError:
    loc: Loc
    """Path of the field, such as ("groups", 0, "rollouts", 3, "quality")."""
    msg: str
    """What is wrong with the field, and what to do."""


class Problem(Exception):
    """A fault with its HTTP status, and the seconds after which a retry makes sense."""

    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        return problem_body(self.status, self.title, self.detail)

    def headers(self) -> dict[str, str]:
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(ceil(self.retry_after_s), 1))}


class BadRequest(Problem):
    status, title = 400, "Malformed request"


class Unauthorized(Problem):
    status, title = 401, "Unauthorized"

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Conflict(Problem):
    status, title = 409, "Conflict"


class TooLarge(Problem):
    status, title = 413, "Content too large"


class UnsupportedType(Problem):
    status, title = 415, "Unsupported media type"


class Invalid(Problem):
    status, title = 422, "Invalid request"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """`errors` must not be empty; the first one becomes the detail."""
        first = errors[0]
        more = f" (and {len(errors) - 1} more, see errors)" if len(errors) > 1 else ""
        super().__init__(f"{_path(first.loc)}: {first.msg}{more}")
        self.errors = list(errors)

    def body(self) -> dict[str, Any]:
        listed = [{"loc": list(error.loc), "msg": error.msg} for error in self.errors]
        return {**super().body(), "errors": listed}


class FailedDependency(Problem):
    status, title = 424, "Failed dependency"


class Overloaded(Problem):
    status, title = 429, "Too many requests"


class Unavailable(Problem):
    status, title = 503, "Service unavailable"


class ModelFailed(Unavailable):
    """The model failed on the texts of this request; others may be fine."""


def problem_body(status: int, title: str, detail: str) -> dict[str, Any]:
    """The members of an RFC 9457 problem."""
    name = title.lower().replace(" ", "-")
    return {
        "type": f"urn:darling-reward:problem:{name}",
        "title": title,
        "status": status,
        "detail": detail,
    }


def _path(loc: Sequence[str | int]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "body"
