"""Chat messages as trainers send them: the content is a text, or a list of parts."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict


class ForeignMessage(BaseModel):
    """A chat message; fields other than `role` and `content` are ignored."""

    model_config = ConfigDict(extra="allow")

    role: str = ""
    content: str | list[dict[str, Any]] | None = None


def as_messages(prompt: str | Sequence[ForeignMessage]) -> list[dict[str, str]]:
    """The prompt as messages with `role` and `content`; a text becomes one user message."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [{"role": message.role, "content": text_in(message)} for message in prompt]


def text_in(message: ForeignMessage) -> str:
    """The message's text; parts that are not text, such as images, are left out."""
    if isinstance(message.content, str):
        return message.content
    texts = (part.get("text") for part in message.content or [])
    return "".join(text for text in texts if isinstance(text, str))
