"""Comparing: what the classifier makes of its results, in slices of one thread.

Where model processes compare, there is a thread for each of them, which waits for its slice.

Jobs take turns by the rule of the fair queue (`queue`), so that comparing a giant group holds up a
small one for a slice, not for the whole. A job whose caller has gone ends at its next slice.
Everything but the slices happens on the event loop, so there are no locks.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, TypeVar

from darling_models.protocol import Steps
from darling_service.engine.queue import Admission, FairQueue
from darling_service.engine.thread import ModelThread
from darling_service.errors import Unavailable

T = TypeVar("T")

SLICE_S = 0.05
"""Seconds after which a job lets others go first; the step that it is in takes 0.2 s at most with
the embedded default on two cores."""
INITIAL_PAIRS_PER_SECOND = 15_000.0
"""Assumed speed until comparisons have been timed: the embedded default on two cores."""


@dataclass(slots=True, eq=False)
class Comparison:
    """A job's comparing, part of which may have been done."""

    steps: Steps[Any]
    done: asyncio.Future[Any]
    admission: Admission["Comparison"]
    cost: float
    """What one slice costs about, in pairs; the whole job if that is less."""
    whole: int
    """What the job costs."""
    seconds: float = 0.0
    """Time that it has taken so far."""
    taken: bool = False

    @property
    def wanted(self) -> bool:
        return not self.done.done()


class Comparing:
    """The threads that compare, and what waits for them."""

    def __init__(self, timeout_s: float, at_once: int = 1) -> None:
        """`timeout_s`: seconds after which a slice counts as hung. `at_once`: slices that may run
        side by side, each at the speed of one alone."""
        self._at_once = at_once
        self.queue: FairQueue[Comparison] = FairQueue(INITIAL_PAIRS_PER_SECOND * at_once)
        self._waiting: set[asyncio.Future[Any]] = set()
        self._wake = asyncio.Event()
        self.threads = [ModelThread("comparing thread", timeout_s) for _ in range(at_once)]
        self._dispatchers: list[asyncio.Task[None]] = []
        self._stopped: Unavailable | None = None

    async def start(self) -> None:
        self._dispatchers = [asyncio.create_task(self._dispatch(one)) for one in self.threads]

    async def stop(self, reason: Unavailable) -> None:
        """Ends the dispatchers after the slices that run; jobs fail with the reason."""
        self._stopped = reason
        for dispatcher in self._dispatchers:
            dispatcher.cancel()
        await asyncio.gather(*self._dispatchers, return_exceptions=True)
        for done in self._waiting:
            if not done.done():
                done.set_exception(reason)
        for thread in self.threads:
            thread.stop()

    async def result(self, steps: Steps[T], whole: int, admission: Admission[Comparison]) -> T:
        """What the steps return, which cost `whole`, in pairs.

        Raises what they raise, and `ModelHung`. A caller that is cancelled ends them.
        """
        if self._stopped is not None:
            raise self._stopped
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        cost = min(whole, SLICE_S * self._speed_of_one)
        self.queue.add([Comparison(steps, done, admission, cost, whole)], admission)
        self._wake.set()
        self._waiting.add(done)
        try:
            return await done
        finally:
            self._waiting.discard(done)

    @property
    def _speed_of_one(self) -> float:
        """Cost that one slice does in a second; those beside it do as much."""
        return self.queue.speed.per_second / self._at_once

    async def _dispatch(self, thread: ModelThread) -> None:
        while True:
            batch = self.queue.next_batch(0)
            for comparison in batch.dropped:
                comparison.steps.close()
            for comparison in batch.works:
                await self._run(comparison, thread)
            if not batch.works:
                self._wake.clear()
                began = time.perf_counter()
                await self._wake.wait()
                self.queue.rested((time.perf_counter() - began) / self._at_once)

    async def _run(self, comparison: Comparison, thread: ModelThread) -> None:
        """Runs a slice; its result or its fault goes to the caller, unless that has gone."""
        done, started = comparison.done, time.perf_counter()
        try:
            ended, value = await thread.call(take_slice, comparison.steps)
        except Exception as fault:
            if not done.done():
                done.set_exception(fault)
            return
        seconds = time.perf_counter() - started
        comparison.seconds += seconds
        comparison.admission.done(seconds * self._speed_of_one)
        if not ended:
            self.queue.put_back(comparison, comparison.admission)
            return
        if comparison.seconds > SLICE_S:
            self.queue.speed.observe(comparison.whole * self._at_once, comparison.seconds)
        if not done.done():
            done.set_result(value)


def take_slice(steps: Steps[T]) -> tuple[bool, T | None]:
    """Takes steps for `SLICE_S`. Returns whether that was all, and then what they return."""
    end = time.perf_counter() + SLICE_S
    try:
        while time.perf_counter() < end:
            next(steps)
    except StopIteration as last:
        return True, last.value
    return False, None
