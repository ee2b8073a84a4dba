"""Work on texts that would hold up the event loop: a long one runs in a thread."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from darling_models.texts.messages import ChatMessage

Answer = TypeVar("Answer")

LONG_CHARS = 100_000
"""Characters from which texts are read in a thread: reading them takes 10 ms and more, which the
event loop owes to other requests."""
TEXT_COST_CHARS = 300
"""Characters that take as long to read as a text does beside its own: some 30 µs."""
PLAIN_FIELDS = frozenset({"role", "content"})
"""Fields of a message that is as quickly read as its text; calls, parts and others may be long."""

THREADS = ThreadPoolExecutor(2, thread_name_prefix="texts")
"""Few, since they share the interpreter's lock with the event loop: one search in a text of 200,000
characters holds it for 20 ms, and the loop may wait for each thread once before its turn."""


async def in_thread_if_long(read: Callable[[], Answer], words: Iterable[Any]) -> Answer:
    """What `read` makes of the words; in a thread if it would hold up the event loop.

    `words`: texts, messages, lists of them, or any JSON. They are looked at only until they are
    known to be long.
    """
    return await in_thread_if(_is_long(words), read)


async def in_thread_if(heavy: bool, work: Callable[[], Answer]) -> Answer:
    """What `work` returns, computed in a thread if it is heavy."""
    return await asyncio.get_running_loop().run_in_executor(THREADS, work) if heavy else work()


def _is_long(words: Iterable[Any]) -> bool:
    total = 0
    for one in words:
        for value in one if isinstance(one, list) else (one,):
            total += TEXT_COST_CHARS + _chars(value)
            if total > LONG_CHARS:
                return True
    return False


def _chars(value: Any) -> int:
    """About the number of characters to read; many where only reading tells."""
    if isinstance(value, ChatMessage) and value.model_fields_set <= PLAIN_FIELDS:
        value = value.content
    if isinstance(value, str):
        return len(value)
    return 0 if value is None or isinstance(value, int | float | bytes) else LONG_CHARS
