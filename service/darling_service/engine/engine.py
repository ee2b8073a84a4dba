"""The batching engine: units of many requests through one model, off the event loop.

The model gets batch after batch in the order of the fair queue (`queue`), in a thread, in processes
of its own (`workers`) or from afar (`model`); comparing follows the same rule (`comparing`). Equal
units of different requests run once. A unit whose callers have all gone is dropped. A request is
let in or refused as a whole, before any of it runs (`admission`).

Everything but `plan` and the executor calls happens on the event loop, so there are few locks.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np

from darling_models.errors import ModelFault, ModelUnavailable, ServerRefused
from darling_models.instructions import NO_INSTRUCTIONS, Instructions, instructed
from darling_models.notions import by_notion
from darling_models.options import DEFAULT_OPTIONS
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import (
    EquivalenceClassifier,
    Failed,
    IntArray,
    Notion,
    Result,
    Steps,
    Unit,
)
from darling_models.runtime.memory import release_cached
from darling_service import tracing
from darling_service.engine.admission import Admissions, Reservation
from darling_service.engine.cache import ResultCache
from darling_service.engine.comparing import Comparing
from darling_service.engine.job import Job, Verdict, Work, parts_after, verdict_in_steps
from darling_service.engine.model import Model, log_fault
from darling_service.engine.pool import Pool
from darling_service.engine.queue import FairQueue
from darling_service.engine.shared_cache import SharedCache
from darling_service.engine.speed import Speed
from darling_service.errors import Unavailable
from darling_service.telemetry import Telemetry
from darling_service.upstream import PASSING, problem_of

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_AFTER_STOP_S = 1.0
"""Seconds that a caller is told to wait when this process stops; another replica answers sooner."""
STEP_ASIDE_S = 1.0
"""Seconds after which a batch of a distant model no longer keeps the next from being sent."""
INITIAL_TOKENS_PER_SECOND = 5_000.0
"""Assumed speed of the model until batches have been timed: the embedded default on two cores."""
UNITS_AT_ONCE = 1024
"""Units that a job queues at one turn of the event loop, in some milliseconds."""


class Engine:
    """Runs one classifier for all requests of this process."""

    def __init__(
        self,
        classifier: EquivalenceClassifier,
        cache: ResultCache,
        telemetry: Telemetry,
        max_batch_tokens: int,
        max_queue_tokens: int,
        shared: SharedCache | None = None,
        model_timeout_s: float = DEFAULT_OPTIONS.model_timeout_s,
        workers: Pool | None = None,
    ) -> None:
        """`workers`: the processes that run the classifier; None: this one does."""
        self.classifier = classifier
        self._cache = cache
        self._shared = shared if isinstance(classifier, Pairwise) else None
        self._telemetry = telemetry
        self._max_batch_tokens = max_batch_tokens
        self._fingerprint = f"{classifier.info.id}@{classifier.info.revision}:".encode()
        at_once, slice_s = 1, model_timeout_s
        if workers is not None:
            at_once, slice_s = workers.count, workers.patience_s
        self._queue: FairQueue[Work] = FairQueue(INITIAL_TOKENS_PER_SECOND * at_once)
        self._comparing = Comparing(slice_s, at_once)
        self._admissions = Admissions(
            self._queue, self._comparing.queue, max_queue_tokens, telemetry
        )
        self.asked = Speed(1.0)
        """Fraction of the pairs that are asked about where not all need be."""
        self._work: dict[bytes, Work] = {}
        self._wake = asyncio.Event()
        self.model = Model(classifier, model_timeout_s, workers)
        self._running: dict[asyncio.Task[None], Sequence[Work]] = {}
        """The batches in the model."""
        self._dispatcher: asyncio.Task[None] | None = None
        self._stopped = False

    async def start(self) -> None:
        self._dispatcher = asyncio.create_task(self._dispatch())
        await self._comparing.start()

    async def stop(self) -> None:
        """Ends the dispatchers; work still queued fails with `Unavailable`."""
        self._stopped = True
        tasks = [task for task in (self._dispatcher, *self._running) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for work in list(self._work.values()):
            self._fail(work, _stopping())
        await self._comparing.stop(_stopping())
        self.model.stop()

    def run_now(self, unit: Unit) -> Result:
        """The unit's result past the queue and the cache. It blocks: only threads call it."""
        return self.model.run_now(unit)

    def compare_now(self, work: Callable[[], T]) -> T:
        """What `work` returns in a thread that compares, past its queue. It blocks, too."""
        return self._comparing.threads[0].call_now(work)

    def plan(
        self,
        prompt: str,
        texts: Sequence[str],
        pairs: IntArray,
        notion: Notion | None = None,
        instructions: Instructions = NO_INSTRUCTIONS,
    ) -> Job:
        """The job that `classify` takes for these pairs, shape (m, 2); no model runs.

        `notion`: one of the classifier's; None: its default. `instructions`: none for a classifier
        that takes none. May be called in any thread.
        """
        classifier = instructed(by_notion(self.classifier, notion), instructions)
        return self.plan_by(classifier, prompt, texts, pairs)

    def plan_by(
        self, classifier: EquivalenceClassifier, prompt: str, texts: Sequence[str], pairs: IntArray
    ) -> Job:
        """As `plan`, by the engine's classifier as it has been told to compare."""
        plan = classifier.plan(prompt, texts, pairs)
        known: dict[bytes, Result] = {}
        missing: dict[bytes, Unit] = {}
        for unit in plan.units:
            if (result := self._cache.get(self._fingerprint + unit.key)) is not None:
                known[unit.key] = result
            else:
                missing[unit.key] = unit
        in_cache = np.asarray([unit.key in known for unit in plan.units], dtype=np.bool_)
        cached = int(in_cache[plan.needs].all(axis=1).sum()) if plan.units else 0
        return Job(classifier, prompt, texts, pairs, known, missing, cached)

    def reserve(
        self, tokens: int, pairs: int, due: float = math.inf
    ) -> AbstractContextManager[Reservation]:
        """Lets in a whole request; see `Admissions.reserve`. Raises `Overloaded`."""
        return self._admissions.reserve(tokens, pairs, due)

    async def classify(
        self, job: Job, reservation: Reservation, with_cosines: bool = False
    ) -> Verdict:
        """The job's verdict. Raises what `problem_of` makes of a fault of one of its units.

        `reservation`: that of the job's request. `with_cosines` needs a classifier that is an
        `Embedder`.
        """
        if len(job.pairs) == 0 and not job.missing:
            return Verdict(np.empty(0), np.empty(0) if with_cosines else None, [])
        shared = await self._from_shared_cache(job)
        missing = {key: unit for key, unit in job.missing.items() if key not in shared}
        fresh = await self._run_units(list(missing.values()), reservation)
        results = job.known | shared | dict(zip(missing, fresh, strict=True))
        steps = verdict_in_steps(job, results, with_cosines)
        with tracing.span("compare"):
            probabilities, cosines = await self.compare(steps, job.comparing, reservation)
        return Verdict(probabilities, cosines, fresh, len(shared))

    async def compare(self, steps: Steps[T], cost: int, reservation: Reservation) -> T:
        """What the steps return; `cost` is `Job.comparing` of them. Raises what `problem_of` makes
        of their fault."""
        try:
            return await self._comparing.result(steps, cost, reservation.pairs)
        except (ModelFault, MemoryError) as fault:
            self.model.healthy = False
            log_fault(fault, 1)
            raise problem_of(fault, "model") from None

    async def _run_units(self, units: Sequence[Unit], reservation: Reservation) -> list[Result]:
        """The units' results, in order, from the model. Those of other jobs run once for all."""
        works: list[Work] = []
        fresh: list[Result] = []
        queued_ns = time.time_ns()
        try:
            for start in range(0, len(units), UNITS_AT_ONCE):
                if self._stopped:
                    raise _stopping()
                some = [self._join(unit) for unit in units[start : start + UNITS_AT_ONCE]]
                works += some
                # What waits for other jobs waits in the lane of this one too: it may be quicker.
                self._queue.add((work for work in some if not work.taken), reservation.tokens)
                self._wake.set()
                await asyncio.sleep(0)
            for work in works:
                done = work.done
                fresh.append(done.result() if done.done() else await asyncio.shield(done))
                reservation.tokens.done(work.cost)
        finally:
            for work in works:
                work.waiters -= 1
            self._give_up_unwanted()
        _trace(works, queued_ns)
        return fresh

    async def _from_shared_cache(self, job: Job) -> dict[bytes, Result]:
        """Results of the job's missing units that another replica has left in the shared cache."""
        if self._shared is None:
            return {}
        results = await self._shared.get([self._fingerprint + key for key in job.missing])
        for key, result in results.items():
            self._cache.put(key, result)
        start = len(self._fingerprint)
        return {key[start:]: result for key, result in results.items()}

    def _join(self, unit: Unit) -> Work:
        work = self._work.get(unit.key)
        if work is None or work.waiters == 0:
            work = Work(unit, asyncio.get_running_loop().create_future())
            # The waiters get a failure; with none left, asyncio must not complain that nobody did.
            work.done.add_done_callback(lambda future: future.cancelled() or future.exception())
            self._work[unit.key] = work
        work.waiters += 1
        return work

    async def _dispatch(self) -> None:
        while True:
            batch = self._queue.next_batch(self._max_batch_tokens)
            for work in batch.dropped:
                self._telemetry.dropped.inc()
                self._forget(work)
            if batch.works:
                running = asyncio.create_task(self._run_safely(batch.works))
                self._running[running] = batch.works
                running.add_done_callback(self._running.pop)
                await self._room(running)
            else:
                self._wake.clear()
                began, idle = time.perf_counter(), self._idle_share()
                await self._wake.wait()
                self._queue.rested((time.perf_counter() - began) * idle)

    async def _room(self, latest: asyncio.Task[None]) -> None:
        """Waits until the model takes another batch."""
        if self.model.distant:
            await asyncio.wait({latest}, timeout=STEP_ASIDE_S)
            return
        while len(self._running) >= self.model.at_once:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    def _idle_share(self) -> float:
        """Part of a local model that runs no batch; a distant one is never full."""
        busy = 0 if self.model.distant else len(self._running)
        return max(1 - busy / self.model.at_once, 0.0)

    async def _run_safely(self, batch: Sequence[Work]) -> None:
        """Runs the batch; whatever goes wrong fails it, and never the dispatcher."""
        try:
            await self._run(batch)
        except asyncio.CancelledError:  # the service stops, or nobody waits for the batch
            for work in batch:
                self._fail(work, _stopping())
            raise
        except Exception as fault:
            log.exception("a model batch failed")
            for work in batch:
                self._fail(work, problem_of(fault, "model"))

    async def _run(self, batch: Sequence[Work]) -> None:
        """Runs the model once, and gives each unit its result or its fault.

        If the model raises, it is run on parts of the batch, so that only bad units fail. What does
        not depend on the units fails them all at once.
        """
        started = time.perf_counter()
        if tracing.on():
            for work in batch:
                work.began_ns = time.time_ns()
        units = [work.unit for work in batch]
        results: Sequence[Result]
        parts: Sequence[Sequence[Work]] = ()
        try:
            results = await self.model.run(units)
        except (ModelUnavailable, ServerRefused) as fault:
            results = [Failed(fault)] * len(batch)
        except Exception as fault:
            parts = parts_after(batch, fault)
            results = [Failed(fault)] if not parts else ()
        if parts:  # out of the handler, whose traceback holds on to the memory of the batch
            release_cached()
            for part in parts:
                await self._run(part)
            return
        seconds = time.perf_counter() - started
        faults = [result.fault for result in results if result.fault is not None]
        self.model.healthy = all(isinstance(fault, PASSING) for fault in faults)
        if faults:
            self._telemetry.model_failures.inc()
            log_fault(faults[0], len(faults))
        else:
            tokens = sum(unit.tokens for unit in units)
            if 2 * tokens >= self._max_batch_tokens:
                self._queue.speed.observe(tokens * self.model.at_once, seconds)
        self._telemetry.batch_tokens.observe(sum(result.tokens for result in results))
        self._telemetry.batch_seconds.observe(seconds)
        for work, result in zip(batch, results, strict=True):
            if result.fault is None:
                self._keep(work, result)
            else:
                self._fail(work, problem_of(result.fault, "model"))

    def _give_up_unwanted(self) -> None:
        """Gives up the batches that nobody waits for any more, where that is possible."""
        if self.model.distant:
            for task, batch in self._running.items():
                if not any(work.wanted for work in batch):
                    task.cancel()

    def _keep(self, work: Work, result: Result) -> None:
        """Caches the result and gives it to those who wait for it."""
        key = self._fingerprint + work.unit.key
        self._cache.put(key, result)
        if self._shared is not None and isinstance(result, PairResult):
            self._shared.put(key, result)
        self._forget(work)
        if not work.done.done():
            work.done.set_result(result)

    def _fail(self, work: Work, error: Exception) -> None:
        self._forget(work)
        if not work.done.done():
            work.done.set_exception(error)

    def _forget(self, work: Work) -> None:
        if self._work.get(work.unit.key) is work:
            del self._work[work.unit.key]


def _stopping() -> Unavailable:
    return Unavailable("the service is stopping", retry_after_s=RETRY_AFTER_STOP_S)


def _trace(works: Sequence[Work], queued_ns: int) -> None:
    """Records how long a group's units waited for the model, and were in it."""
    if tracing.on() and works:
        began_ns = max(queued_ns, min(work.began_ns for work in works))
        tracing.record("queue", queued_ns, began_ns)
        tracing.record("model", began_ns, time.time_ns())
