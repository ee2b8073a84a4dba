"""Every fault that a caller is told of, as one tree.

    Problem
    +-- BadRequest           400  the body is not JSON, or the request not HTTP
    +-- Unauthorized         401  the API key is missing or wrong
    +-- NotFound             404  the history holds no such thing, or there is no history
    +-- RequestTimeout       408  headers or body come too slowly
    +-- Conflict             409  the rollout contradicts what its cohort knows
    +-- TooLarge             413  the body exceeds its limit
    +-- UnsupportedType      415  the body is not declared as JSON
    +-- Invalid              422  fields are wrong; each is named with its fault and its cure
    +-- FailedDependency     424  a server behind this one refuses it, until its settings are mended
    +-- Overloaded           429  queue, memory or the key's limit is full; Retry-After says when to
    |                             come back
    +-- HeadersTooLarge      431  the request's line and headers exceed their limit
    +-- Unavailable          503  the model failed, is not ready, or the service is stopping
        +-- ModelFailed      503  the model failed on the texts of this request; others may be fine

`http.problems` answers each as RFC 9457 `application/problem+json`; nothing in this module knows
the web framework.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar, Literal

from darling_models.faults import Loc, path

MAX_ERRORS = 20
"""Fields that one answer names. Who sent more wrong ones has made one mistake many times."""
MAX_NAME_CHARS = 80
"""Characters of a field's name that an answer repeats; the names of our fields have 20 at most."""
MAX_MESSAGE_CHARS = 1000
"""Characters of a message, which may repeat a name that the caller sent; ours have 300 at most."""

Refusal = Literal["queue", "time", "bodies", "cohorts", "key", "server"]
"""What a request with 429 was over: `max_queue_tokens`, or what the reward model takes; the time
that its caller waits; `body_bytes`; `cohort_bytes`; a limit of its key; or what a model server
takes."""


@dataclass(frozen=True, slots=True)
class FieldError:
    loc: Loc
    """Path of the field, such as ("groups", 0, "rollouts", 3, "quality")."""
    msg: str
    """What is wrong with the field, and what to do."""

    def shown(self) -> "FieldError":
        """The same, short enough for an answer whatever the caller sent."""
        names = [
            shown(part, MAX_NAME_CHARS) if isinstance(part, str) else part for part in self.loc
        ]
        return FieldError(tuple(names), shown(self.msg, MAX_MESSAGE_CHARS))


class Problem(Exception):
    """A fault with its HTTP status, and the seconds after which a retry makes sense."""

    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        self.detail = shown(detail, MAX_MESSAGE_CHARS)
        super().__init__(self.detail)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        """How a copy for another process is made: not by `__init__`, which subclasses change."""
        return _copied, (type(self), self.args, self.__dict__)

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


class NotFound(Problem):
    status, title = 404, "Not found"


class RequestTimeout(Problem):
    """The rest of the request may still come, so the connection cannot be used again."""

    status, title = 408, "Request timeout"

    def headers(self) -> dict[str, str]:
        return {"Connection": "close"}


class Conflict(Problem):
    status, title = 409, "Conflict"


class TooLarge(Problem):
    status, title = 413, "Content too large"


class UnsupportedType(Problem):
    status, title = 415, "Unsupported media type"


class Invalid(Problem):
    status, title = 422, "Invalid request"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """`errors` must not be empty; the first one becomes the detail, which counts the others."""
        self.errors = list(errors)
        first, others = errors[0].shown(), len(errors) - 1
        more = f" (and {others} more, see errors)" if others else ""
        if len(errors) > MAX_ERRORS:
            more = f" (and {others} more; errors lists the first {MAX_ERRORS})"
        super().__init__(f"{path(first.loc)}: {first.msg}{more}")

    def body(self) -> dict[str, Any]:
        errors = [error.shown() for error in self.errors[:MAX_ERRORS]]
        listed = [{"loc": list(error.loc), "msg": error.msg} for error in errors]
        return {**super().body(), "errors": listed}


class FailedDependency(Problem):
    status, title = 424, "Failed dependency"


class Overloaded(Problem):
    status, title = 429, "Too many requests"

    def __init__(self, reason: Refusal, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.reason = reason


class NoRoom(Overloaded):
    """A model's queue would not come to the request in time, or has no room for its size."""


class HeadersTooLarge(Problem):
    status, title = 431, "Request header fields too large"


class Unavailable(Problem):
    status, title = 503, "Service unavailable"


class ModelFailed(Unavailable):
    """The model failed on the texts of this request; others may be fine."""


def _copied(kind: type[Problem], args: tuple[Any, ...], held: dict[str, Any]) -> Problem:
    problem = kind.__new__(kind, *args)
    problem.__dict__.update(held)
    return problem


def problem_body(status: int, title: str, detail: str) -> dict[str, Any]:
    """The members of an RFC 9457 problem."""
    name = title.lower().replace(" ", "-")
    return {
        "type": f"urn:darling-reward:problem:{name}",
        "title": title,
        "status": status,
        "detail": detail,
    }


def shown(text: str, most: int) -> str:
    """A text of at most about `most` characters, with lone surrogates written out as \\ud800."""
    cut = text if len(text) <= most else f"{text[:most]}…"
    return cut.encode(errors="backslashreplace").decode()
