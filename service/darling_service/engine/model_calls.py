"""Calls of the model, each of which may hang: what hangs is given up, and the next call goes on.

A model of this process runs in a thread, one call at a time. A thread cannot be ended: one that
hangs is left to itself, and another takes its place. A distant model is asked on the event loop of
its servers, where a call can be given up at any time.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from darling_models.errors import ModelHung
from darling_models.protocol import (
    Distant,
    EquivalenceClassifier,
    Result,
    Unit,
    counted,
    run_batch,
)

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

    def stop(self) -> None:
        """Takes no more calls; does not wait for the one that runs."""
        self._executor.shutdown(wait=False)

    def _new(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix=self._name)


class ModelCalls:
    """The calls of one classifier."""

    def __init__(self, classifier: EquivalenceClassifier, timeout_s: float) -> None:
        self._classifier = classifier
        self.distant = isinstance(classifier, Distant)
        """Whether several calls may run at a time, each of which can be given up."""
        self._thread = ModelThread("model", timeout_s)

    async def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        """What `run_batch` returns or raises, and `ModelHung`."""
        if isinstance(self._classifier, Distant):
            results = await asyncio.wrap_future(self._classifier.begin(units))
            return counted(self._classifier, units, results)
        return await self._thread.call(run_batch, self._classifier, units)

    def stop(self) -> None:
        """Takes no more calls; does not wait for those that run."""
        self._thread.stop()
