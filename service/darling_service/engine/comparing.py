"""Comparing: what the classifier makes of its results, in slices of one thread.

Jobs take turns by the rule of the fair queue (`queue`), so that comparing a giant group holds up a
small one for a slice, not for the whole. A job whose caller has gone ends at its next slice.
Everything but the slices happens on the event loop, so there are no locks.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from darling_models.protocol import Steps
from darling_service.engine.queue import Admission, FairQueue
from darling_service.errors import Unavailable

T = TypeVar("T")

SLICE_S = 0.05
"""Seconds after which a job lets others go first; the step that it is in takes 0.2 s at most with
the embedded default on two cores."""
INITIAL_PAIRS_PER_SECOND = 10_000.0
"""Assumed speed until comparisons have been timed: the embedded default on two cores."""


@dataclass(slots=True, eq=False)
class Comparison:
    """A job's comparing, part of which may have been done."""

    steps: Steps[Any]
    done: asyncio.Future[Any]
    admission: Admission["Comparison"]
    cost: float
    """Pairs that one slice takes about; all of the job's if they are fewer."""
    pairs: int
    seconds: float = 0.0
    """Time that it has taken so far."""
    taken: bool = False

    @property
    def wanted(self) -> bool:
        return not self.done.done()


class Comparing:
    """The thread that compares, and what waits for it."""

    def __init__(self) -> None:
        self.queue: FairQueue[Comparison] = FairQueue(INITIAL_PAIRS_PER_SECOND)
        self._waiting: set[asyncio.Future[Any]] = set()
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compare")
        self._dispatcher: asyncio.Task[None] | None = None
        self._stopped: Unavailable | None = None

    async def start(self) -> None:
        self._dispatcher = asyncio.create_task(self._dispatch())

    async def stop(self, reason: Unavailable) -> None:
        """Ends the dispatcher after the slice that runs; jobs fail with the reason."""
        self._stopped = reason
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.gather(self._dispatcher, return_exceptions=True)
        for done in self._waiting:
            if not done.done():
                done.set_exception(reason)
        self._thread.shutdown(wait=False)

    async def result(self, steps: Steps[T], pairs: int, admission: Admission[Comparison]) -> T:
        """What the steps return. Raises what they raise. A caller that is cancelled ends them."""
        if self._stopped is not None:
            raise self._stopped
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        cost = min(max(pairs, 1), SLICE_S * self.queue.speed.per_second)
        self.queue.add([Comparison(steps, done, admission, cost, pairs)], admission)
        self._wake.set()
        self._waiting.add(done)
        try:
            return await done
        finally:
            self._waiting.discard(done)

    async def _dispatch(self) -> None:
        while True:
            batch = self.queue.next_batch(0)
            for comparison in batch.works:
                await self._run(comparison)
            if not batch.works:
                self._wake.clear()
                await self._wake.wait()

    async def _run(self, comparison: Comparison) -> None:
        """Runs a slice; its result or its fault goes to the caller, unless that has gone."""
        loop = asyncio.get_running_loop()
        done, started = comparison.done, time.perf_counter()
        try:
            ended, value = await loop.run_in_executor(self._thread, _slice, comparison.steps)
        except Exception as fault:
            if not done.done():
                done.set_exception(fault)
            return
        seconds = time.perf_counter() - started
        comparison.seconds += seconds
        comparison.admission.done(seconds * self.queue.speed.per_second)
        if not ended:
            self.queue.put_back(comparison, comparison.admission)
            return
        self.queue.speed.observe(comparison.pairs, comparison.seconds)
        if not done.done():
            done.set_result(value)


def _slice(steps: Steps[T]) -> tuple[bool, T | None]:
    """Takes steps for `SLICE_S`. Returns whether that was all, and then what they return."""
    end = time.perf_counter() + SLICE_S
    try:
        while time.perf_counter() < end:
            next(steps)
    except StopIteration as last:
        return True, last.value
    return False, None
