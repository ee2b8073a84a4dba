"""Tool calls as text: the name and the arguments, in one order."""

import json
from typing import Any

OPENING, CLOSING = "<tool_call>", "</tool_call>"
"""Marks around a call as JSON in the text of Hermes, Qwen and many others."""


def call_text(name: str, arguments: Any) -> str:
    """Returns a row with the name and one for each argument, sorted, its value as JSON.

    Arguments that are a JSON document as text are read first. The default classifier was trained on
    calls in this form.
    """
    try:
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
        rows = _rows(value)
    except (ValueError, RecursionError):
        rows = [str(arguments)]
    # A lone surrogate, escaped in JSON, is no character that a model could read.
    return "\n".join([name, *rows]).encode(errors="backslashreplace").decode()


def _rows(arguments: Any) -> list[str]:
    if arguments is None:
        return []
    if not isinstance(arguments, dict):
        return [_json(arguments)]
    return [f"{name}: {_json(value)}" for name, value in sorted(arguments.items())]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def with_plain_calls(text: str) -> str:
    """Returns `text` with each call that stands between marks written as `call_text` does."""
    before, *parts = text.split(OPENING)
    pieces = [before]
    for part in parts:
        body, mark, after = part.partition(CLOSING)
        call = _read(body) if mark else None
        pieces.append(f"{OPENING}{part}" if call is None else f"{call}{after}")
    return "".join(pieces)


def without_calls(text: str) -> str:
    """Returns `text` without what stands between marks of a call. A call that is not closed stays:
    the text may only speak of the mark."""
    before, *parts = text.split(OPENING)
    pieces = [before]
    for part in parts:
        _, mark, after = part.partition(CLOSING)
        pieces.append(after if mark else f"{OPENING}{part}")
    return "".join(pieces)


def _read(body: str) -> str | None:
    """The call in a JSON object; None if there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        return None
    return call_text(document["name"], document.get("arguments", document.get("parameters")))
