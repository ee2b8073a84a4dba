"""An event loop in a thread of its own, on which model servers are asked.

A call there takes no thread while it waits, and can be given up at any time: a server that accepts
a request and never answers it holds up nobody else.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def begin(call: Coroutine[Any, Any, T]) -> "Future[T]":
    """The result to come of a call, from any thread; cancelling it gives the call up."""
    return asyncio.run_coroutine_threadsafe(call, _loop())


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    # Daemonic, so that a process ends whatever a server owes it.
    threading.Thread(target=loop.run_forever, name="servers", daemon=True).start()
    return loop
