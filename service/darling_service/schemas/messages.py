"""Chat messages as trainers and OpenAI's APIs write them, read as turns of a conversation.

A message of Chat Completions has `role`, `content` (a text, parts or null) and `tool_calls`, and
from some servers `reasoning_content`. An item of Responses has a `type`, such as message,
reasoning, function_call or function_call_output. Other fields, such as ids, are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from darling_models.texts.chat_templates import Turn, role_of, rollout_turns
from darling_models.texts.special_tokens import without_special_tokens
from darling_models.texts.tool_calls import call_text
from darling_service.schemas.fields import Items

MAX_MESSAGES = 4096
"""Most messages in one conversation: more steps than agents take, few enough to check at once."""

REASONING = ("reasoning_content", "reasoning", "thinking")
"""Fields in which servers give the reasoning apart from the content."""
ARGUMENTS = ("arguments", "input", "action", "code")
"""Fields in which a call holds its arguments, by the kind of the tool."""
READ = (
    *("content", "tool_calls", "function_call", "refusal", "summary", "output", "name"),
    *(*REASONING, *ARGUMENTS),
)
"""Fields that hold what is said."""
UNREAD = frozenset(
    {
        *("image", "image_url", "input_image", "audio", "audio_url", "input_audio"),
        *("video", "video_url", "input_video", "file", "input_file"),
    }
)
"""Parts that are no text, whose characters do not count."""


class ChatMessage(BaseModel):
    """A chat message, or an item of OpenAI's Responses format. Fields that are not listed, such as
    ids, are ignored."""

    model_config = ConfigDict(extra="allow", frozen=True)

    role: str | None = Field(
        None, description="Who speaks: assistant for the policy, user, system, tool or another."
    )
    type: str | None = Field(
        None,
        description="Kind of an item in the Responses format, such as message, reasoning, "
        "function_call or function_call_output.",
    )
    content: str | Items[str | dict[str, Any]] | None = Field(
        None, description="What is said: a text, or parts, of which those with text are read."
    )
    reasoning_content: str | None = Field(
        None, description="The reasoning, where the server has parted it from the content."
    )
    tool_calls: Items[dict[str, Any]] | None = Field(
        None, description="The tools that the policy calls, with names and arguments."
    )

    @model_validator(mode="after")
    def _has_a_speaker(self) -> Self:
        if self.role is None and self.type is None:
            raise ValueError('says neither who speaks nor what it is; give role, such as "user"')
        return self

    def turns(self) -> list[Turn]:
        """What the message says, as turns: of the speaker, and of tools whose results it quotes."""
        said = self._item() if self.role is None else self._message()
        texts = [
            (role, "\n".join(text for _, text in run if text))
            for role, run in groupby(said, itemgetter(0))
        ]
        return [turn for role, text in texts for turn in _turns(role, text)]

    def chars(self) -> int:
        """The number of characters that `turns` reads, or a few more."""
        return sum(_chars(getattr(self, name, None)) for name in READ)

    def _message(self) -> list[tuple[str, str]]:
        role, more = role_of(self.role or ""), self.model_extra or {}
        said = _parts(self.content, role)
        thoughts = (getattr(self, name, None) for name in REASONING)
        if role == "assistant":
            said[:0] = [(role, _thought(text)) for text in thoughts if isinstance(text, str)]
        if isinstance(more.get("refusal"), str):
            said.append((role, more["refusal"]))
        calls = [*(self.tool_calls or []), *_objects([more.get("function_call")])]
        return said + [(role, _call(call)) for call in calls]

    def _item(self) -> list[tuple[str, str]]:
        kind, more = self.type or "", self.model_extra or {}
        if kind == "reasoning":
            said = _parts(self.content or more.get("summary"), "assistant")
            return [("assistant", _thought("\n\n".join(text for _, text in said)))]
        if kind.endswith("_output"):
            return _parts(more.get("output"), "tool")
        if kind.endswith("_call"):
            return [("assistant", _call({"name": kind, **more}))]
        return _parts(self.content, "assistant")


Conversation = Annotated[list[ChatMessage], Field(max_length=MAX_MESSAGES, fail_fast=True)]


def conversation_turns(messages: Sequence[ChatMessage]) -> list[Turn]:
    """What is said in the conversation, as turns."""
    return [turn for message in messages for turn in message.turns()]


def as_messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """The turns as messages with `role` and `content`."""
    return [{"role": turn.role, "content": turn.text} for turn in turns]


def _turns(role: str, text: str) -> list[Turn]:
    """A text may hold special tokens, and the policy's several turns of its own."""
    return (
        rollout_turns(text) if role == "assistant" else [Turn(role, without_special_tokens(text))]
    )


def _parts(content: Any, role: str) -> list[tuple[str, str]]:
    """(role, text) of a message's content: a text, or parts; other parts say nothing."""
    said: list[tuple[str, str]] = []
    in_text = False
    for part in content if isinstance(content, list) else [content]:
        about = part if isinstance(part, dict) else {"text": part}
        kind, text = about.get("type"), about.get("text", about.get("refusal"))
        if kind in ("thinking", "reasoning"):
            said.append((role, _thought(str(about.get(kind) or text or ""))))
        elif kind == "tool_use":
            said.append((role, _call(about)))
        elif kind == "tool_result":
            said += _parts(about.get("content"), "tool")
        elif isinstance(text, str):
            said.append((role, said.pop()[1] + text if in_text else text))
            in_text = True
            continue
        in_text = False
    return said


def _thought(text: str) -> str:
    return f"<think>\n{text}\n</think>" if text else ""


def _call(call: Mapping[str, Any]) -> str:
    function = next(_objects([call.get("function"), call.get("custom")]), call)
    arguments = (function.get(name) for name in ARGUMENTS)
    return call_text(str(function.get("name")), next((a for a in arguments if a is not None), None))


def _objects(values: Sequence[Any]) -> Iterator[dict[str, Any]]:
    return (value for value in values if isinstance(value, dict))


def _chars(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_chars, value))
    if isinstance(value, dict):
        return 0 if value.get("type") in UNREAD else sum(map(_chars, value.values()))
    return 0
