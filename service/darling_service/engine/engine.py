"""The batching engine: units of many requests through one model, off the event loop.

One thread runs the model. Groups wait in line, first come first served; a batch takes units from
the front until its token budget is used. A group that has had its turn (`TURN_BATCHES` batches'
worth) goes to the back of the line, so that a giant delays each of the others by one turn at most.
Equal units of different requests run once. A unit whose callers have all gone is dropped.

Everything but the two executor calls happens on the event loop, so there are no locks.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from darling_models.errors import ModelUnavailable
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import (
    Embedder,
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    Result,
    Unit,
    all_pairs,
    judge,
)

from darling_service.engine.cache import ResultCache
from darling_service.engine.shared_cache import SharedCache
from darling_service.errors import Overloaded, Unavailable
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)

RETRY_AFTER_FAILURE_S = 5.0
TURN_BATCHES = 4
PROBE = ("Name a colour.", ["Blue is a colour.", "Red."], all_pairs(2))


@dataclass(slots=True)
class Work:
    """A unit in the queue or in the model, shared by every job that waits for it."""

    unit: Unit
    done: asyncio.Future[Result]
    waiters: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """The pairs of one group, and what their answer needs from the model."""

    prompt: str
    texts: Sequence[str]
    pairs: IntArray
    known: dict[bytes, Result]
    missing: dict[bytes, Unit]
    cached_pairs: int

    @property
    def tokens(self) -> int:
        return sum(unit.tokens for unit in self.missing.values())


@dataclass(slots=True)
class Turn:
    """A group's work in line."""

    works: deque[Work]
    spent: int = 0
    """Tokens it has taken since it last came to the front."""


@dataclass(frozen=True, slots=True)
class Verdict:
    probabilities: FloatArray
    """P(equivalent) of the job's pairs, shape (m,)."""
    cosines: FloatArray | None
    """Of the same pairs, where they are wanted."""
    fresh: Sequence[Result]
    """What the model was asked for: it was in no cache."""
    shared: int = 0
    """Units found in the shared cache."""


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
        self._max_queue_tokens = max_queue_tokens
        self._fingerprint = f"{classifier.info.id}@{classifier.info.revision}:".encode()
        self._reserved = 0
        self._tokens_per_second = 5_000.0  # until batches have been timed
        self._line: deque[Turn] = deque()
        self._work: dict[bytes, Work] = {}
        self._wake = asyncio.Event()
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._compare = ThreadPoolExecutor(1, thread_name_prefix="compare")
        self._dispatcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._dispatcher = asyncio.create_task(self._dispatch())

    async def stop(self) -> None:
        """Ends the dispatcher; work still queued fails with `Unavailable`."""
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.gather(self._dispatcher, return_exceptions=True)
        for work in list(self._work.values()):
            self._fail(work, Unavailable("the service is stopping", retry_after_s=1))
        self._model.shutdown(wait=False)
        self._compare.shutdown(wait=False)

    async def probe(self) -> bool:
        """Asks the model a question outside the queue and the cache; sets and returns `healthy`."""
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._model, judge, self.classifier, *PROBE
            )
        except Exception:
            log.exception("the model cannot answer")
            self.healthy = False
        else:
            self.healthy = True
        return self.healthy

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Job:
        """What `judge` will need for these pairs; no model runs."""
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

    @contextmanager
    def reserve(self, tokens: int) -> Iterator[None]:
        """Room in the queue for a whole request, or `Overloaded` before any of it is run.

        A request bigger than the queue is let in when nothing else waits, so that none is refused
        for ever.
        """
        if self._reserved and self._reserved + tokens > self._max_queue_tokens:
            self._telemetry.refused.inc()
            wait = self._reserved / self._tokens_per_second
            raise Overloaded(
                f"{self._reserved} tokens wait for the model and max_queue_tokens is "
                f"{self._max_queue_tokens}; send this again later, or smaller",
                retry_after_s=wait,
            )
        self._reserve(tokens)
        try:
            yield
        finally:
            self._reserve(-tokens)

    async def judge(self, job: Job, with_cosines: bool = False) -> Verdict:
        """The job's probabilities. Raises `Unavailable` if the model fails on its units.

        `with_cosines` takes a classifier that is an `Embedder`.
        """
        shared = await self._found_elsewhere(job)
        missing = {key: unit for key, unit in job.missing.items() if key not in shared}
        works = [self._join(unit) for unit in missing.values()]
        # A work with other waiters already stands in line.
        if own := deque(work for work in works if work.waiters == 1):
            self._line.append(Turn(own))
            self._wake.set()
        try:
            fresh = [await asyncio.shield(work.done) for work in works]
        finally:
            for work in works:
                work.waiters -= 1
        results = job.known | shared | dict(zip(missing, fresh, strict=True))
        probabilities, cosines = await asyncio.get_running_loop().run_in_executor(
            self._compare, self._answers, job, results, with_cosines
        )
        return Verdict(probabilities, cosines, fresh, len(shared))

    def _answers(
        self, job: Job, results: Mapping[bytes, Result], with_cosines: bool
    ) -> tuple[FloatArray, FloatArray | None]:
        found = self.classifier.probabilities(job.prompt, job.texts, job.pairs, results)
        if not with_cosines:
            return found, None
        assert isinstance(self.classifier, Embedder), "the rule was checked against the model"
        return found, self.classifier.cosines(job.texts, job.pairs, results)

    async def _found_elsewhere(self, job: Job) -> dict[bytes, Result]:
        """Results of the job's missing units that another replica has left in the shared cache."""
        if self._shared is None:
            return {}
        found = await self._shared.get([self._fingerprint + key for key in job.missing])
        for key, result in found.items():
            self._cache.put(key, result)
        start = len(self._fingerprint)
        return {key[start:]: result for key, result in found.items()}

    def _reserve(self, tokens: int) -> None:
        self._reserved += tokens
        self._telemetry.queue_tokens.inc(tokens)

    def _join(self, unit: Unit) -> Work:
        work = self._work.get(unit.key)
        if work is None or work.waiters == 0:
            work = Work(unit, asyncio.get_running_loop().create_future())
            # A failure is told to the waiters; with none left there is nobody to tell.
            work.done.add_done_callback(lambda future: future.cancelled() or future.exception())
            self._work[unit.key] = work
        work.waiters += 1
        return work

    async def _dispatch(self) -> None:
        while True:
            if not (batch := self._next_batch()):
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._run(batch)

    def _next_batch(self) -> list[Work]:
        batch: list[Work] = []
        room = self._max_batch_tokens
        while self._line:
            turn = self._line[0]
            if not turn.works:
                self._line.popleft()
                continue
            work = turn.works[0]
            if work.waiters == 0:
                self._telemetry.dropped.inc()
                self._forget(work)
                turn.works.popleft()
                continue
            if batch and work.unit.tokens > room:
                break
            batch.append(turn.works.popleft())
            room -= work.unit.tokens
            turn.spent += work.unit.tokens
            if turn.spent >= TURN_BATCHES * self._max_batch_tokens:
                turn.spent = 0
                self._line.rotate(-1)
        return batch

    async def _run(self, batch: Sequence[Work]) -> None:
        """One pass of the model; if it raises, each unit alone, so that only the bad ones fail.

        `ModelUnavailable` is not about any unit: it fails them all at once.
        """
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        units = [work.unit for work in batch]
        try:
            results = await loop.run_in_executor(self._model, self.classifier.run, units)
        except ModelUnavailable as error:
            self._telemetry.model_failures.inc()
            log.warning("the model is unavailable: %s", error)
            self.healthy = False
            problem = Unavailable(
                "the model cannot be reached or makes no sense; see the service's log",
                retry_after_s=RETRY_AFTER_FAILURE_S,
            )
            for work in batch:
                self._fail(work, problem)
            return
        except Exception as error:
            self._telemetry.model_failures.inc()
            if len(batch) > 1:
                log.warning("a model batch failed (%s); running its units one by one", error)
                for work in batch:
                    await self._run([work])
                return
            log.exception("the model failed on one unit of %d tokens", units[0].tokens)
            self.healthy = False
            self._fail(
                batch[0],
                Unavailable(
                    "the model failed on this request; see the service's log",
                    retry_after_s=RETRY_AFTER_FAILURE_S,
                ),
            )
            return
        self.healthy = True
        self._observe(sum(r.tokens for r in results), time.perf_counter() - started)
        for work, result in zip(batch, results, strict=True):
            self._cache.put(self._fingerprint + work.unit.key, result)
            if self._shared is not None and isinstance(result, PairResult):
                self._shared.put(self._fingerprint + work.unit.key, result)
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

    def _observe(self, tokens: int, seconds: float) -> None:
        self._telemetry.batch_tokens.observe(tokens)
        self._telemetry.batch_seconds.observe(seconds)
        rate = tokens / max(seconds, 1e-6)
        self._tokens_per_second += 0.1 * (rate - self._tokens_per_second)
