"""The HTTP request that code runs for: its id, and what its line of the log says of it.

The id is the caller's `X-Request-ID`, else a random one. Every answer, problem and line of the log
that belongs to the request carries it.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import uuid4

from darling_service.errors import Overloaded

HEADER = "X-Request-ID"
MAX_ID_CHARS = 128
"""Characters of a caller's id that are kept; a UUID has 36, and a trace of W3C's 55."""
UNSAFE = re.compile(r"[^A-Za-z0-9._:/@=+-]")
"""Characters that are left out of a caller's id: the rest needs no escape in a header, a line of
the log, JSON or a URL's path."""


@dataclass(slots=True)
class CurrentRequest:
    """The request as its line of the log tells of it."""

    id: str
    rollouts: int = 0
    """Rollouts that it sent to be scored."""
    cause: str = ""
    """Why it was not answered with what it asked for."""
    refusal: Overloaded | None = None
    """Why it got 429, if it did."""


_current: ContextVar[CurrentRequest | None] = ContextVar("current_request", default=None)


def begin(sent: str | None) -> CurrentRequest:
    """Makes the request that begins here the current one; `sent` is the caller's id of it."""
    request = CurrentRequest(cleaned(sent or "") or uuid4().hex)
    _current.set(request)
    return request


def current() -> CurrentRequest | None:
    """The request that this code runs for; None outside of requests."""
    return _current.get()


def cleaned(sent: str) -> str:
    """A caller's id without unsafe characters, of at most `MAX_ID_CHARS`; it may be empty."""
    return UNSAFE.sub("", sent[: 2 * MAX_ID_CHARS])[:MAX_ID_CHARS]


def count_rollouts(number: int) -> None:
    """Adds to the rollouts of the current request."""
    if (request := _current.get()) is not None:
        request.rollouts += number
