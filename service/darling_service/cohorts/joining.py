"""A rollout that may join a cohort, with what takes long to read of it: that is read off the event
loop, on which everything else about cohorts happens."""

from dataclasses import dataclass
from sys import getsizeof

from darling_models.texts.chat_templates import PromptText
from darling_models.texts.group import prompt_of
from darling_models.texts.messages import Response
from darling_service.off_loop import in_thread_if_long
from darling_service.schemas.requests import RolloutRequest, response_of

NUMBER_BYTES = 24
"""Bytes of a float in a list of Python."""
MESSAGE_BYTES, CHARACTER_BYTES = 2 * 2**10, 4
"""Bytes of a chat message beside its characters, and at most of each character."""
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


async def read_joining(request: RolloutRequest) -> Joining:
    """The request as one that may join; its texts must be within their limits."""
    return await in_thread_if_long(
        lambda: Joining(request, prompt_of(request.prompt), _bytes_of(request)),
        [request.prompt, response_of(request)],
    )


def _bytes_of(request: RolloutRequest) -> int:
    texts = (request.answer or "", request.reference or "")
    words = (response_of(request), request.prompt)
    scores = sum(getsizeof(own) + NUMBER_BYTES * len(own) for own in request.solutions or ())
    return WAITING_BYTES + sum(map(getsizeof, texts)) + sum(map(_bytes_of_words, words)) + scores


def _bytes_of_words(words: Response) -> int:
    if isinstance(words, str):
        return getsizeof(words)
    return sum(MESSAGE_BYTES + CHARACTER_BYTES * message.chars() for message in words)
