"""What a quality source is given, and what it must be able to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from darling_service.errors import FieldError, Invalid

RETRY_AFTER_S = 5.0
"""Seconds that a caller is told to wait after a quality source has failed: as long as a remote host
that failed rests before it is asked again."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt and one response to it."""

    messages: Sequence[Mapping[str, str]]
    """The prompt, as messages with `role` and `content`."""
    text: str
    """The response."""
    label: str | None
    """The right answer, if the trainer sent one."""
    written: tuple[str, str] | None = None
    """Prompt, and prompt with response, as the trainer wrote them with their special tokens."""

    def required_label(self) -> str:
        """Raises `Invalid` if there is no label."""
        if self.label is None:
            message = "missing; this quality source compares the response with it"
            raise Invalid([FieldError(("label",), message)])
        return self.label


class Source(Protocol):
    async def quality(self, sample: Sample) -> float:
        """The sample's quality. Raises `Invalid`, `Overloaded` or `Unavailable`."""
        ...
