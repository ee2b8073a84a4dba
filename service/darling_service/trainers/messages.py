"""Chat messages as others write them: content as text, or in parts of which some are text."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict


class ForeignMessage(BaseModel):
    """Whatever else it says is left alone."""

    model_config = ConfigDict(extra="allow")

    role: str = ""
    content: str | list[dict[str, Any]] | None = None


def as_messages(prompt: str | Sequence[ForeignMessage]) -> list[dict[str, str]]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [{"role": message.role, "content": text_in(message)} for message in prompt]


def text_in(message: ForeignMessage) -> str:
    """The message's text; parts of it that are no text are left out."""
    if isinstance(message.content, str):
        return message.content
    texts = (part.get("text") for part in message.content or [])
    return "".join(text for text in texts if isinstance(text, str))
