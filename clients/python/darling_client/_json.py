"""A request's body as JSON: trainers hold numbers of NumPy and torch, and mappings of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

MAX_DEPTH = 100
"""Levels of a body below which its faults are not looked for; requests have some ten."""


def plain(value: Any) -> Any:
    """The value as Python has it: NumPy's and torch's numbers and arrays as numbers and lists,
    other mappings as dicts. Raises `TypeError` for anything else that JSON has no form for."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_name(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    to_list = getattr(value, "tolist", None)  # of an array of any shape, on any device
    if callable(to_list):
        item = to_list()
        if not hasattr(item, "tolist"):
            return plain(item)
    if hasattr(value, "__iter__") and hasattr(value, "__len__") and _is_sequence(value):
        return [plain(item) for item in value]
    raise TypeError(f"{value!r:.100} is of type {type(value).__name__}, which JSON has no form for")


def encoded(body: Mapping[str, Any]) -> bytes:
    """The body as JSON. Raises `TypeError` that names the field which has no JSON form."""
    try:
        text = json.dumps(body, ensure_ascii=False, default=plain)
    except (TypeError, ValueError, RecursionError) as error:
        for place, fault in _faults(body, ()):
            raise TypeError(f"{'.'.join(map(str, place))}: {fault}") from None
        raise TypeError(f"the request has no JSON form: {error}") from None
    # A lone surrogate has no UTF-8; as a JSON escape, the service can name the field it is in.
    return text.encode(errors="backslashreplace")


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r:.100} is a key of type {type(key).__name__}; give a text")
    return key


def _is_sequence(value: Any) -> bool:
    """Whether the items have an order: of OmegaConf's lists and others that are no `list`."""
    return hasattr(value, "__getitem__") and not isinstance(
        value, bytes | bytearray | AbstractSet | memoryview
    )


def _faults(
    value: Any, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where the values without a JSON form are, and what is wrong with each."""
    if len(place) > MAX_DEPTH:
        yield place[:3], "is nested too deeply, or in itself"
    elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, item in value.items():
            yield from _faults(item, (*place, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _faults(item, (*place, index))
    else:
        try:
            json.dumps(plain(value))
        except (TypeError, ValueError, RecursionError) as error:
            yield place, str(error)
