"""How long a caller waits for its answer: the header `X-Request-Timeout`, in seconds."""

import asyncio
import math

from starlette.requests import Request

from darling_service.errors import FieldError, Invalid

HEADER = "X-Request-Timeout"
RETRY_AFTER_DUE_S = 1.0
"""Seconds after which a caller that gave up may ask again: what was computed for it is cached."""


def due_of(request: Request) -> float:
    """Event-loop time at which the caller gives up; infinite where it does not say.

    Raises `Invalid` if the header is not a number of seconds above 0.
    """
    written = request.headers.get(HEADER)
    if written is None:
        return math.inf
    try:
        seconds = float(written.replace("_", " "))  # Python's own form of 1_000 is no number here
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        message = (
            f"is {written[:80]!r}; give the seconds that you wait, such as 60, or leave it out"
        )
        raise Invalid([FieldError(("header", HEADER), message)])
    return asyncio.get_running_loop().time() + seconds
