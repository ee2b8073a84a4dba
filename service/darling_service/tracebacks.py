"""Tracebacks without the messages of their exceptions.

A message may quote what it is about: a library's, or one of a classifier of your own, a text of a
request. The types and places tell where the fault is, and none of what was sent.
"""

import os
from collections.abc import Iterator
from traceback import format_tb


def types_and_places(error: BaseException | None) -> str:
    """The traceback of an exception and of those that led to it, the first one first.

    Of a fault of the operating system, its number and what that means are added.
    """
    return "" if error is None else "\n".join(_lines(error, set()))


def _lines(error: BaseException, told: set[int]) -> Iterator[str]:
    told.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told:
        yield from _lines(before, told)
        yield "which led to:"
    yield "Traceback (most recent call last):"
    yield "".join(format_tb(error.__traceback__)).rstrip("\n")
    yield _name(error)
    if isinstance(error, BaseExceptionGroup):
        for number, one in enumerate(error.exceptions, start=1):
            yield f"of which number {number}:"
            yield from _lines(one, told)


def _name(error: BaseException) -> str:
    kind = type(error)
    own = kind.__qualname__
    if kind.__module__ != "builtins":
        own = f"{kind.__module__}.{own}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{own}: [Errno {error.errno}] {os.strerror(error.errno)}"
    return own
