"""Which tests `make test-fast` leaves out: those that start a process say so by what they call.

A new test is fast unless it, a fixture that it uses or a helper that it calls starts a process, or
it is marked `slow` or `heavy`. Nobody has to remember a list.
"""

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

STARTERS = frozenset({"Popen", "create_subprocess_exec", "multiprocessing", "subprocess"})
"""Names by which code of a test starts a process."""


def starts_process(item: pytest.Item) -> bool:
    """Whether the test's function, fixtures or helpers mention a starter of processes."""
    function = getattr(item, "function", None)
    fixtures: dict[str, Any] = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009
    roots = [function, *(definitions[-1].func for definitions in fixtures.values())]
    seen: set[FunctionType] = set()
    return any(not STARTERS.isdisjoint(_names(root, seen)) for root in roots)


def _names(function: object, seen: set[FunctionType]) -> Iterator[str]:
    """Names that the function uses, and those that functions of the tests do which it calls."""
    function = getattr(function, "__wrapped__", function)  # context managers, settings
    if not isinstance(function, FunctionType) or function in seen:
        return
    seen.add(function)
    for name in _mentioned(function.__code__):
        yield name
        value = getattr(function.__globals__.get(name), "__wrapped__", None)
        called = value or function.__globals__.get(name)
        if getattr(called, "__module__", "").startswith("tests."):
            yield from _names(called, seen)


def _mentioned(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _mentioned(constant)
