"""A thread for calls of a model, each of which may hang.

A thread cannot be ended: one that hangs is left to itself, and another takes its place.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from darling_models.errors import ModelHung

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class ModelThread:
    """A thread that is replaced when a call in it takes too long."""

    def __init__(self, name: str, timeout_s: float) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._free = asyncio.Lock()
        self._executor = self._new()

    async def call(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What the function returns or raises; `ModelHung` after `timeout_s` seconds."""
        async with self._free:
            limit = asyncio.timeout(self._timeout_s)
            try:
                async with limit:
                    return await asyncio.wrap_future(
                        self._executor.submit(function, *args, **named)
                    )
            except TimeoutError:
                if not limit.expired():  # the function's own
                    raise
            self.stop()
            self._executor = self._new()
            log.error(
                "the %s hangs for model_timeout_s = %g; another thread takes its place",
                *(self._name, self._timeout_s),
            )
            raise ModelHung(f"no result in model_timeout_s = {self._timeout_s:g}")

    def call_now(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What the function returns or raises, for another thread, which waits. `TimeoutError`."""
        return self._executor.submit(function, *args, **named).result(self._timeout_s)

    def stop(self) -> None:
        """Takes no more calls; does not wait for the one that runs."""
        self._executor.shutdown(wait=False)

    def _new(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix=self._name)
