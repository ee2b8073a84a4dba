"""A classifier replica: a copy of the local model, for batches and comparisons of all ingress
replicas. Batches are computed one after the other in one thread, slices of comparisons in another.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from darling_models.protocol import FloatArray, Planner, Result, Unit, run_batch
from darling_service.cluster.same_bits import load_like_the_first, other_bits
from darling_service.engine.comparing import take_slice
from darling_service.engine.models import options_of
from darling_service.engine.worker import Task, planner_of
from darling_service.logs import configure
from darling_service.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

Reply = tuple[Exception | None, T | None]
"""A fault, or else an answer. Ray would wrap an exception that is raised into one of its own."""


class Classifier:
    """Its methods are called through Ray Serve, any number at a time."""

    async def __init__(  # type: ignore[misc]  # Ray Serve awaits it
        self, settings: Settings, deployed: str
    ) -> None:
        """Loads the model. `deployed`: name of this deployment, which all of its replicas are told.
        Raises `ModelError`."""
        configure(settings.log_level, settings.log_format, settings.log_texts)
        self._timeout_s = settings.model_timeout_s
        options = options_of(settings)
        self._classifier = await load_like_the_first(settings.model, options, deployed)
        self._planner = planner_of(self._classifier)
        self._batches = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._comparing = ThreadPoolExecutor(1, thread_name_prefix="comparing")
        self._began: dict[ThreadPoolExecutor, float] = {}
        """When the call that a thread is in began, by the monotonic clock."""
        gc.freeze()

    async def planner(self) -> Reply[Planner]:
        """What plans batches for this copy, and for every other that gives the same bits."""
        return None, self._planner

    async def run(self, revision: str, units: Sequence[Unit]) -> Reply[Sequence[Result]]:
        """What `run_batch` returns or raises. `revision`: of the model that is asked for."""
        return await self._reply(
            revision, lambda: self._in(self._batches, run_batch, self._classifier, units)
        )

    async def compare(self, revision: str, task: Task) -> Reply[FloatArray]:
        """What the task returns or raises. Several take turns, slice by slice."""
        return await self._reply(revision, lambda: self._compared(task))

    async def check_health(self) -> None:
        """Raises `RuntimeError` where a call hangs: Ray Serve then replaces this replica."""
        began = min(tuple(self._began.values()), default=None)
        if began is not None and time.monotonic() - began > self._timeout_s:
            raise RuntimeError(f"the model hangs for model_timeout_s = {self._timeout_s:g}")

    async def _compared(self, task: Task) -> FloatArray:
        steps = task.steps(self._classifier)
        while True:
            ended, value = await self._in(self._comparing, take_slice, steps)
            if ended:
                assert value is not None, "a comparison returns numbers"
                return value

    async def _in(
        self,
        thread: ThreadPoolExecutor,
        function: Callable[P, T],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        def timed() -> T:
            self._began[thread] = time.monotonic()
            try:
                return function(*args, **named)
            finally:
                del self._began[thread]

        return await asyncio.get_running_loop().run_in_executor(thread, timed)

    async def _reply(self, revision: str, answer: Callable[[], Awaitable[T]]) -> Reply[T]:
        own = self._planner.info.revision
        if revision != own:
            return other_bits(revision, own), None
        try:
            return None, await answer()
        except Exception as fault:
            return fault, None
