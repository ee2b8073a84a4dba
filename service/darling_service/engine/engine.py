"""The batching engine: units of many requests through one model, off the event loop.

One thread runs the model, batch by batch, in the order of the fair queue (`queue`); another
compares by the same rule (`comparing`). Equal units of different requests run once. A unit whose
callers have all gone is dropped. A request is let in or refused as a whole, before any of it runs
(`admission`).

Everything but `plan` and the executor calls happens on the event loop, so there are few locks.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np

from darling_models.errors import (
    ModelBusy,
    ModelError,
    ModelFault,
    ModelUnavailable,
    ServerRefused,
)
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import (
    EquivalenceClassifier,
    Failed,
    IntArray,
    Result,
    Steps,
    Unit,
    all_pairs,
    classify,
    run_batch,
)
from darling_service.engine.admission import Admissions, Reservation
from darling_service.engine.cache import ResultCache
from darling_service.engine.comparing import Comparing
from darling_service.engine.job import Job, Verdict, Work, verdict_in_steps
from darling_service.engine.queue import FairQueue
from darling_service.engine.shared_cache import SharedCache
from darling_service.errors import Unavailable
from darling_service.telemetry import Telemetry
from darling_service.upstream import PASSING, problem_of

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_AFTER_STOP_S = 1.0
"""Seconds that a caller is told to wait when this process stops; another replica answers sooner."""
INITIAL_TOKENS_PER_SECOND = 5_000.0
"""Assumed speed of the model until batches have been timed: the embedded default on two cores."""
UNITS_AT_ONCE = 1024
"""Units that a job queues at one turn of the event loop, in some milliseconds."""
PROBE = ("Name a colour.", ["Blue is a colour.", "Red."], all_pairs(2))
"""Prompt, texts and pairs of the question that tells whether the model answers."""


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
    ) -> None:
        self.classifier = classifier
        self.healthy = True
        self._cache = cache
        self._shared = shared if isinstance(classifier, Pairwise) else None
        self._telemetry = telemetry
        self._max_batch_tokens = max_batch_tokens
        self._fingerprint = f"{classifier.info.id}@{classifier.info.revision}:".encode()
        self._queue: FairQueue[Work] = FairQueue(INITIAL_TOKENS_PER_SECOND)
        self._comparing = Comparing()
        self._admissions = Admissions(
            self._queue, self._comparing.queue, max_queue_tokens, telemetry
        )
        self._work: dict[bytes, Work] = {}
        self._wake = asyncio.Event()
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._dispatcher: asyncio.Task[None] | None = None
        self._stopped = False

    async def start(self) -> None:
        self._dispatcher = asyncio.create_task(self._dispatch())
        await self._comparing.start()

    async def stop(self) -> None:
        """Ends the dispatchers; work still queued fails with `Unavailable`."""
        self._stopped = True
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.gather(self._dispatcher, return_exceptions=True)
        for work in list(self._work.values()):
            self._fail(work, _stopping())
        await self._comparing.stop(_stopping())
        self._model.shutdown(wait=False)

    async def probe(self) -> Exception | None:
        """Asks the model a question outside the queue and the cache, and sets `healthy`.

        Returns what kept it from answering with a probability; None if nothing did.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._model, classify, self.classifier, *PROBE
            )
        except Exception as fault:
            self.healthy = isinstance(fault, ModelBusy)
            _log_fault(fault, 1)
            return fault
        self.healthy = True
        return None

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Job:
        """The job that `classify` takes for these pairs, shape (m, 2); no model runs.

        May be called in any thread.
        """
        plan = self.classifier.plan(prompt, texts, pairs)
        known: dict[bytes, Result] = {}
        missing: dict[bytes, Unit] = {}
        for unit in plan.units:
            if (result := self._cache.get(self._fingerprint + unit.key)) is not None:
                known[unit.key] = result
            else:
                missing[unit.key] = unit
        in_cache = np.asarray([unit.key in known for unit in plan.units], dtype=np.bool_)
        cached = int(in_cache[plan.needs].all(axis=1).sum()) if plan.units else 0
        return Job(prompt, texts, pairs, known, missing, cached)

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
        if self._stopped:
            raise _stopping()
        missing = {key: unit for key, unit in job.missing.items() if key not in shared}
        fresh = await self._run_units(list(missing.values()), reservation)
        results = job.known | shared | dict(zip(missing, fresh, strict=True))
        steps = verdict_in_steps(self.classifier, job, results, with_cosines)
        try:
            probabilities, cosines = await self.compare(steps, len(job.pairs), reservation)
        except ModelError as fault:
            self.healthy = False
            _log_fault(fault, 1)
            raise problem_of(fault, "model") from None
        return Verdict(probabilities, cosines, fresh, len(shared))

    async def compare(self, steps: Steps[T], pairs: int, reservation: Reservation) -> T:
        """What the steps return, which compare so many pairs. Raises what they raise."""
        return await self._comparing.result(steps, pairs, reservation.pairs)

    async def _run_units(self, units: Sequence[Unit], reservation: Reservation) -> list[Result]:
        """The units' results, in order, from the model. Those of other jobs run once for all."""
        works: list[Work] = []
        fresh: list[Result] = []
        try:
            for start in range(0, len(units), UNITS_AT_ONCE):
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
                await self._run_safely(batch.works)
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _run_safely(self, batch: Sequence[Work]) -> None:
        """Runs the batch; whatever goes wrong fails it, and never the dispatcher."""
        try:
            await self._run(batch)
        except Exception as fault:
            log.exception("a model batch failed")
            for work in batch:
                self._fail(work, problem_of(fault, "model"))

    async def _run(self, batch: Sequence[Work]) -> None:
        """Runs the model once, and gives each unit its result or its fault.

        If the model raises, it is run on each unit alone, so that only the bad ones fail. What does
        not depend on the units fails them all at once.
        """
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        units = [work.unit for work in batch]
        results: Sequence[Result]
        try:
            results = await loop.run_in_executor(self._model, run_batch, self.classifier, units)
        except (ModelUnavailable, ServerRefused) as fault:
            results = [Failed(fault)] * len(batch)
        except Exception as fault:
            if len(batch) > 1:
                log.warning("a model batch failed (%s); running its units one by one", fault)
                for work in batch:
                    await self._run([work])
                return
            results = [Failed(fault)]
        seconds = time.perf_counter() - started
        faults = [result.fault for result in results if result.fault is not None]
        self.healthy = all(isinstance(fault, PASSING) for fault in faults)
        if faults:
            self._telemetry.model_failures.inc()
            _log_fault(faults[0], len(faults))
        else:
            self._queue.speed.observe(sum(unit.tokens for unit in units), seconds)
        self._telemetry.batch_tokens.observe(sum(result.tokens for result in results))
        self._telemetry.batch_seconds.observe(seconds)
        for work, result in zip(batch, results, strict=True):
            if result.fault is None:
                self._keep(work, result)
            else:
                self._fail(work, problem_of(result.fault, "model"))

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


def _log_fault(fault: Exception, count: int) -> None:
    """Logs the first of `count` faults; only one that no message explains, with its traceback."""
    cause = None if isinstance(fault, ModelFault) else fault
    log.warning("the model has failed (units of work: %d): %s", count, fault, exc_info=cause)
