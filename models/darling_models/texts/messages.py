"""Chat messages as trainers and OpenAI's APIs write them, read as turns of a conversation.

A message of Chat Completions has `role`, `content` (a text, parts or null) and `tool_calls`, and
from some servers `reasoning_content`. An item of Responses has a `type`, such as message,
reasoning, function_call or function_call_output. Other fields, such as ids, are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from darling_models.schema_types import MESSAGES, OBJECT, PARTS, TEXT, Items, text_or
from darling_models.texts.chat_templates import Turn, role_of, rollout_turns
from darling_models.texts.special_tokens import without_special_tokens
from darling_models.texts.tool_calls import call_text

MAX_MESSAGES = 4096
"""Most messages in one conversation: more steps than agents take, few enough to check at once."""
MAX_ROLE_CHARS = 256
"""Characters of a role, or of an item's type; those of the APIs have 30 at most."""

REASONING = ("reasoning_content", "reasoning", "thinking")
"""Fields in which servers give the reasoning apart from the content."""
ARGUMENTS = ("arguments", "input", "action", "code")
"""Fields in which a call holds its arguments, by the kind of the tool."""
UNREAD = frozenset(
    {
        *("image", "image_url", "input_image", "audio", "audio_url", "input_audio"),
        *("video", "video_url", "input_video", "file", "input_file"),
    }
)
"""Parts that are no text: what stands in them is not read."""

APART = frozenset({"thinking", "reasoning", "tool_use", "tool_result"})
"""Parts that are read, but not as a text of the speaker."""


Part = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[dict[str, Any], Tag(OBJECT)],
    Discriminator(text_or(OBJECT)),
]
Content = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[Items[Part], Tag(PARTS)], Discriminator(text_or(PARTS))
]


class ChatMessage(BaseModel):
    """A chat message, or an item of OpenAI's Responses format. Fields that are not listed, such as
    ids, are ignored."""

    model_config = ConfigDict(extra="allow", frozen=True)

    role: str | None = Field(
        None,
        max_length=MAX_ROLE_CHARS,
        description="Who speaks: assistant for the policy, user, system, tool or another.",
    )
    type: str | None = Field(
        None,
        max_length=MAX_ROLE_CHARS,
        description="Kind of an item in the Responses format, such as message, reasoning, "
        "function_call or function_call_output.",
    )
    content: Content | None = Field(
        None,
        validate_default=True,
        description="What is said: a text, or parts, of which those with text are read. A user's "
        "message needs it.",
    )
    reasoning_content: str | None = Field(
        None, description="The reasoning, where the server has parted it from the content."
    )
    tool_calls: Items[dict[str, Any]] | None = Field(
        None, description="The tools that the policy calls, with names and arguments."
    )

    @field_validator("content")
    @classmethod
    def _user_says_something(cls, content: Any, info: ValidationInfo) -> Any:
        role = info.data.get("role")
        if content is None and isinstance(role, str) and role_of(role) == "user":
            raise PydanticCustomError("missing", "Field required")
        return content

    @model_validator(mode="after")
    def _has_a_speaker(self) -> Self:
        if self.role is None and self.type is None:
            raise ValueError('says neither who speaks nor what it is; give role, such as "user"')
        return self

    def turns(self) -> list[Turn]:
        """What the message says, as turns: of the speaker, and of tools whose results it quotes."""
        turns: list[Turn] = []
        for (role, is_call), run in groupby(self._said(), lambda said: (said.role, said.is_call)):
            text = "\n".join(filter(None, (said.read() for said in run)))
            if not is_call:
                turns += _turns(role, text)
            elif turns and turns[-1].role == role and not turns[-1].calls:
                turns[-1] = replace(turns[-1], calls=text)
            else:
                turns.append(Turn(role, "", text))
        return turns

    def chars(self) -> int:
        """The number of characters that `turns` reads; arguments count as JSON."""
        return sum(said.chars() for said in self._said())

    def _said(self) -> Iterator["_Text | _Call"]:
        return self._item() if self.role is None else self._message()

    def _message(self) -> Iterator["_Text | _Call"]:
        role, more = role_of(self.role or ""), self.model_extra or {}
        if role == "assistant":
            thoughts = (getattr(self, name, None) for name in REASONING)
            yield from (_thought(role, text) for text in thoughts if isinstance(text, str))
        yield from _parts(self.content, role)
        if isinstance(more.get("refusal"), str):
            yield _Text(role, more["refusal"])
        for call in (*(self.tool_calls or ()), *_objects([more.get("function_call")])):
            yield _call(role, call)

    def _item(self) -> Iterator["_Text | _Call"]:
        kind, more = self.type or "", self.model_extra or {}
        if kind == "reasoning":
            parts = _parts(self.content or more.get("summary"), "assistant")
            yield _thought("assistant", "\n\n".join(said.read() for said in parts))
        elif kind.endswith("_output"):
            yield from _parts(more.get("output"), "tool")
        elif kind.endswith("_call"):
            yield _call("assistant", {"name": kind, **more})
        else:
            yield from _parts(self.content, "assistant")


@dataclass(frozen=True, slots=True)
class _Text:
    """A text, or reasoning, that a message holds."""

    role: str
    text: str
    is_call: ClassVar = False

    def read(self) -> str:
        return self.text

    def chars(self) -> int:
        return len(self.text)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of a tool. Its arguments are opaque: what looks like a part in them is none."""

    role: str
    name: str
    arguments: Any
    is_call: ClassVar = True

    def read(self) -> str:
        return call_text(self.name, self.arguments)

    def chars(self) -> int:
        """Characters of the name, and of the arguments as JSON."""
        own = self.arguments
        return len(self.name) + len(own if isinstance(own, str) else call_text("", own))


Conversation = Annotated[list[ChatMessage], Field(max_length=MAX_MESSAGES, fail_fast=True)]
Prompt = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[Conversation, Tag(MESSAGES)],
    Discriminator(text_or(MESSAGES)),
]
Response = str | Sequence[ChatMessage]


class TextOrMessages(BaseModel):
    """What the policy wrote, in one of two fields. Other fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    messages: Conversation | None = Field(
        None,
        description="The response as chat messages, with tool calls and tools' output, instead of "
        "`text`.",
    )
    text: str | None = Field(
        None, validate_default=True, description="The response; it may be empty."
    )

    @field_validator("text")
    @classmethod
    def _text_or_messages(cls, text: str | None, info: ValidationInfo) -> str | None:
        if "messages" not in info.data:
            return text  # they are wrong, and their own fault is told
        if text is None and info.data["messages"] is None:
            raise PydanticCustomError("missing", "Field required")
        if text is not None and info.data["messages"] is not None:
            raise ValueError("text and messages both hold the response; drop one of them")
        return text

    def response(self) -> Response:
        """The text or the messages."""
        return self.text or "" if self.messages is None else self.messages


def conversation_turns(messages: Sequence[ChatMessage]) -> list[Turn]:
    """What is said in the conversation, as turns."""
    return [turn for message in messages for turn in message.turns()]


def as_messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """The turns as messages with `role` and `content`."""
    return [{"role": turn.role, "content": turn.words} for turn in turns]


def _turns(role: str, text: str) -> list[Turn]:
    """A text may hold special tokens, and the policy's several turns of its own."""
    return (
        rollout_turns(text) if role == "assistant" else [Turn(role, without_special_tokens(text))]
    )


def _parts(content: Any, role: str) -> Iterator[_Text | _Call]:
    """What a message's content says: a text, or parts; other parts say nothing."""
    texts: list[str] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(text := _text_of(part), str):
            texts.append(text)  # Neighbouring texts are one.
            continue
        if texts:
            yield _Text(role, "".join(texts))
            texts = []
        if isinstance(part, dict):
            yield from _other_part(part, role)
    if texts:
        yield _Text(role, "".join(texts))


def _text_of(part: Any) -> Any:
    """The text of a part that is one; anything else for other parts."""
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if isinstance(kind, str) and kind in UNREAD | APART:
        return None
    return part.get("text", part.get("refusal"))


def _other_part(part: Mapping[str, Any], role: str) -> Iterator[_Text | _Call]:
    kind = part.get("type")
    if kind in ("thinking", "reasoning"):
        yield _thought(role, str(part.get(kind) or part.get("text") or ""))
    elif kind == "tool_use":
        yield _call(role, part)
    elif kind == "tool_result":
        yield from _parts(part.get("content"), "tool")


def _thought(role: str, text: str) -> _Text:
    return _Text(role, f"<think>\n{text}\n</think>" if text else "")


def _call(role: str, call: Mapping[str, Any]) -> _Call:
    function = next(_objects([call.get("function"), call.get("custom")]), call)
    arguments = (function.get(name) for name in ARGUMENTS)
    return _Call(
        role, str(function.get("name")), next((a for a in arguments if a is not None), None)
    )


def _objects(values: Sequence[Any]) -> Iterator[dict[str, Any]]:
    return (value for value in values if isinstance(value, dict))
