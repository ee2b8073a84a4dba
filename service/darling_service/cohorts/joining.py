"""A rollout that may join a cohort, with what takes long to read of it: that is read off the event
loop, on which everything else about cohorts happens."""

from collections.abc import Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import Any

from pydantic import BaseModel

from darling_models.texts.chat_templates import PromptText
from darling_models.texts.group import prompt_of
from darling_service.off_loop import in_thread_if_long
from darling_service.schemas.requests import RolloutRequest, response_of

WAITING_BYTES = 48 * 2**10
"""Bytes that a waiting caller holds beside its texts: connection, tasks, parsed request. Resident
memory grew by 36 KiB for each (`python -m benchmarks.cohorts --waiting 20000`)."""


@dataclass(frozen=True, slots=True)
class Joining:
    """A request whose rollout may join a cohort."""

    request: RolloutRequest
    prompt: PromptText
    nbytes: int
    """Memory that its caller holds while it waits."""


async def read_joining(request: RolloutRequest, beside: Sequence[Any] = ()) -> Joining:
    """The request as one that may join; its texts must be within their limits.

    `beside`: what its caller holds while it waits beside the request, as JSON or bytes.
    """
    return await in_thread_if_long(
        lambda: Joining(
            request,
            prompt_of(request.prompt),
            WAITING_BYTES + nbytes_of(request.__dict__) + nbytes_of(list(beside)),
        ),
        [request.prompt, response_of(request), request.solutions, *beside],
    )


def nbytes_of(value: Any) -> int:
    """Memory of a value and of all that it holds: JSON, bytes, and models of requests."""
    total, rest = 0, [value]
    while rest:
        one = rest.pop()
        total += getsizeof(one)
        if isinstance(one, BaseModel):
            rest += (one.__dict__, one.__pydantic_extra__ or {})
        elif isinstance(one, dict):
            rest += one
            rest += one.values()
        elif isinstance(one, list | tuple):
            rest += one
    return total
