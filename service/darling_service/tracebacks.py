"""Tracebacks without the messages of their exceptions.

A message may quote what it is about: a library's, or one of a classifier of your own, a text of a
request. The types and places tell where the fault is, and none of what was sent.
"""

import os
from collections.abc import Iterator
from traceback import format_tb

MAX_CHAIN = 20
"""Exceptions that led to one another, of which the last are told: there are rarely more than 3."""


def types_and_places(error: BaseException | None) -> str:
    """The traceback of an exception and of those that led to it, the first one first.

    Of a fault of the operating system, its number and what that means are added.
    """
    return "" if error is None else "\n".join(_lines(error, set()))


def _lines(error: BaseException, told: set[int]) -> Iterator[str]:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and id(link) not in told and len(chain) < MAX_CHAIN:
        told.add(id(link))
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for one in reversed(chain):
        yield "Traceback (most recent call last):"
        yield "".join(format_tb(one.__traceback__)).rstrip("\n")
        yield _name(one)
        if isinstance(one, BaseExceptionGroup):
            for number, part in enumerate(one.exceptions, start=1):
                yield f"of which number {number}:"
                yield from _lines(part, told)
        if one is not error:
            yield "which led to:"


def _name(error: BaseException) -> str:
    kind = type(error)
    own = kind.__qualname__
    if kind.__module__ != "builtins":
        own = f"{kind.__module__}.{own}"
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return f"{own}: [Errno {error.errno}] {os.strerror(error.errno)}"
    return own
