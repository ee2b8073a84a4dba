"""What a quality source is given, and what it must be able to do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from darling_models.faults import Loc
from darling_models.texts.chat_templates import Turn
from darling_models.texts.rule import own_answer, own_text
from darling_models.texts.special_tokens import is_blank
from darling_service.errors import FieldError, Invalid

RETRY_AFTER_S = 5.0
"""Seconds that a caller is told to wait after a quality source has failed: as long as a remote host
that failed rests before it is asked again."""

CURE = (
    "send the right answer (OpenRLHF takes it from the column that its label_key names), or choose "
    "a quality source that needs no label, such as ?quality=constant"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt and one response to it."""

    messages: Sequence[Mapping[str, str]]
    """The prompt, as messages with `role` and `content`."""
    turns: Sequence[Turn]
    """What was said in the rollout."""
    label: Any
    """The right answer as the trainer sent it, any JSON; None if it sent none."""
    written: tuple[str, str] | None = None
    """Prompt, and prompt with response, as the trainer wrote them with their special tokens."""
    label_field: Loc = ("label",)
    """Where the trainer's request holds the label."""
    in_reasoning: bool = False
    """Whether the prompt has opened the reasoning in which the rollout begins."""

    def text(self) -> str:
        """The response, which takes a while to read where it is long: all the policy's own words,
        reasoning and calls of tools included."""
        return own_text(self.turns, self.in_reasoning)

    def answer(self) -> str:
        """What follows the reasoning, without calls of tools: where a final answer is looked for.
        It takes a while to read, too."""
        return own_answer(self.turns, self.in_reasoning)

    def words(self) -> Iterator[str]:
        """The texts that are read for either, for `in_thread_if_long`."""
        return (turn.text for turn in self.turns)

    def required_label(self) -> str:
        """The label as text. Raises `Invalid` if it is missing, blank, or not one answer."""
        label = self.label
        if isinstance(label, list) and len(label) == 1:
            (label,) = label
        if label is None or (isinstance(label, str) and is_blank(label)):
            fault = "missing" if label is None else "blank"
            self._refuse(f"{fault}, and this quality source compares the response with it; {CURE}")
        if not isinstance(label, str | int | float):
            self._refuse(f"not one answer: a text, a number or a list of one; {CURE}")
        return label if isinstance(label, str) else json.dumps(label)

    def _refuse(self, message: str) -> NoReturn:
        raise Invalid([FieldError(self.label_field, message)])


class Source(Protocol):
    async def quality(self, sample: Sample) -> float:
        """The sample's quality. Raises `Invalid`, `Overloaded` or `Unavailable`."""
        ...
