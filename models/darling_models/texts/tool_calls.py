"""Tool calls as text: the name and the arguments, with the keys in one order."""

import json
from typing import Any

OPENING, CLOSING = "<tool_call>", "</tool_call>"
"""Marks around a call as JSON in the text of Hermes, Qwen and many others."""


def call_text(name: str, arguments: Any) -> str:
    """Returns `name(arguments)`. Arguments that are a JSON document as text are read first."""
    try:
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
        written = "" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        written = str(arguments)
    # A lone surrogate, escaped in JSON, is no character that a model could read.
    return f"{name}({written})".encode(errors="backslashreplace").decode()


def with_plain_calls(text: str) -> str:
    """Returns `text` with each call that stands between marks written as `call_text` does."""
    before, *parts = text.split(OPENING)
    pieces = [before]
    for part in parts:
        body, mark, after = part.partition(CLOSING)
        call = _read(body) if mark else None
        pieces.append(f"{OPENING}{part}" if call is None else f"{call}{after}")
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
