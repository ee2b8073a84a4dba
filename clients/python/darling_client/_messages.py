"""Chat messages as JSON: what a trainer hands over may hold objects that are none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from darling_client._types import Prompt, Response

READ = (
    *("role", "type", "content", "tool_calls", "function_call", "refusal"),
    *("reasoning_content", "reasoning", "thinking", "summary"),
    *("name", "arguments", "input", "action", "code", "output"),
)
"""Fields of a message that the service reads. Others, such as token ids and log-probabilities, are
not sent."""
UNREAD = ("image", "audio", "video", "file")
"""Parts of a message's content that are no text, by what their type contains."""


def words_body(words: Prompt | Response) -> str | list[dict[str, Any]]:
    """A prompt or a response as JSON: a text as it is."""
    return words if isinstance(words, str) else messages_body(words)


def messages_body(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """The messages as JSON. Raises `TypeError` for one that is no message."""
    return [_message(message) for message in messages]


def _message(message: Any) -> dict[str, Any]:
    fields = _mapping(message)
    if fields is None:
        raise TypeError(
            f"{message!r:.100} is no chat message; give a text, or messages with role and content"
        )
    body = {name: _json(fields[name]) for name in READ if fields.get(name) is not None}
    if isinstance(body.get("content"), list):
        body["content"] = [part for part in body["content"] if _is_read(part)]
    if "tool_calls" in body:
        body["tool_calls"] = [call for call in map(_call, body["tool_calls"]) if call]
    return body


def _json(value: Any) -> Any:
    """The value as JSON has it; what is no JSON becomes its text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if (fields := _mapping(value)) is not None:
        return {str(name): _json(item) for name, item in fields.items() if item is not None}
    return str(value)


def _mapping(value: Any) -> Mapping[str, Any] | None:
    """A mapping, or the fields of an object such as pydantic's; None for anything else."""
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    fields = dump() if callable(dump) else getattr(value, "__dict__", None)
    return fields if isinstance(fields, Mapping) else None


def _is_read(part: Any) -> bool:
    kind = str(part.get("type", "")) if isinstance(part, dict) else ""
    return not any(name in kind for name in UNREAD)


def _call(call: Any) -> dict[str, Any] | None:
    """A tool call; verifiers may hold it as a text of JSON."""
    if isinstance(call, str):
        try:
            call = json.loads(call)
        except ValueError:
            return {"name": call}
    return call if isinstance(call, dict) else None
