"""Model processes, each with a copy of a local model: `workers` of them behind one service.

Only the model's work crosses the boundary: batches of units, and comparing, slice by slice. What a
service promises of a whole (cohorts, limits, admission, cache, visits) stays in one process, and
the batches come from its one queue.

A process that ends, or does not answer in `model_timeout_s`, is replaced; what it was asked is
asked of another one, once.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count as counter
from threading import Lock

from darling_models.errors import ModelError, ModelFault, ModelHung, ModelUnavailable
from darling_models.protocol import FloatArray, ModelInfo, Planner, Result, Steps, Unit
from darling_service.engine.model_process import ModelProcess, ProcessEnded
from darling_service.engine.worker import Load, Task
from darling_service.logs import LogFormat, LogLevel
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)

LOOK_S = 0.1
"""Seconds between two looks at whether a process has ended or hangs."""
RESTART_S = 1.0
"""Seconds until a process that could not load its model is started again."""
TRIES = 2
"""Processes that are asked one question: a second one where the first ended or hung."""


class Workers:
    """`count` model processes of this machine: a `Pool`."""

    def __init__(
        self,
        load: Load,
        count: int,
        timeout_s: float,
        telemetry: Telemetry,
        log: tuple[LogLevel, LogFormat] = ("info", "plain"),
    ) -> None:
        self.count = count
        self.patience_s = (TRIES + 2) * timeout_s
        """Seconds after which a slice has no answer although a process that hung was replaced."""
        self.alive: tuple[ModelProcess, ...] = ()
        self._start = (load, count, timeout_s, log)
        self._timeout_s = timeout_s
        self._telemetry = telemetry
        self._idle: asyncio.Queue[ModelProcess] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self._keepers: list[asyncio.Task[None]] = []
        self._numbers = counter()
        self._choosing = Lock()
        self._planner: Planner | None = None
        self._stopped = False

    async def start(self) -> Planner:
        """Starts the processes, until all have loaded the model. Raises `ModelError` as soon as one
        cannot."""
        workers: list[ModelProcess] = []
        try:
            for _ in range(self.count):
                workers.append(await asyncio.to_thread(ModelProcess, *self._start))
            await asyncio.gather(*map(self._loaded, workers))
            self._planner = workers[0].planner
            if not all(_same(worker.planner.info, self._planner.info) for worker in workers):
                raise ModelError(
                    "the model processes give a text different bits, since each has chosen kernels "
                    "for itself; start the service again, with the setting kernels if that does "
                    "not help"
                )
        except BaseException as fault:
            for worker in workers:
                worker.process.kill()
            if isinstance(fault, ProcessEnded):
                raise ModelError(
                    "a model process ended while it loaded the model; give the service more "
                    f"memory, or fewer workers than {self.count}"
                ) from None
            raise
        for worker in workers:
            self._take_in(worker)
            self._keepers.append(asyncio.create_task(self._keep(worker)))
        return self._planner

    def stop(self) -> None:
        """Ends the processes; what they are asked fails."""
        self._stopped = True
        for keeper in self._keepers:
            keeper.cancel()
        for worker in self.alive:
            worker.process.kill()
        self.alive = ()
        self._telemetry.workers.set(0)
        self._threads.shutdown(wait=False)

    async def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        """What `run_batch` returns or raises in an idle process.

        Raises `ModelError` if the processes end over it, and `ModelHung` if they hang or none is
        free in time.
        """
        for attempt in range(1, TRIES + 1):
            worker = await self._next_idle()
            try:
                return await self._run_in(worker, units)
            except ProcessEnded:
                if attempt == TRIES:
                    raise self._fault(worker) from None
        raise AssertionError("there is a last try")

    def _run_in(
        self, worker: ModelProcess, units: Sequence[Unit]
    ) -> asyncio.Future[Sequence[Result]]:
        """What the process returns or raises. Once it has, and not when a caller goes, it is
        idle: one that is asked twice at a time would mix up its answers."""
        loop = asyncio.get_running_loop()

        def idle(_: object) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._idle.put_nowait, worker)

        asked = self._threads.submit(worker.run, units)
        asked.add_done_callback(idle)
        return asyncio.wrap_future(asked)

    def compare(self, task: Task) -> Steps[FloatArray]:
        """What the task's steps return, in one of the processes; each step here is a slice there.

        Raises what the classifier raises, and what `run` raises. Its steps wait, so that only
        threads may take them.
        """
        for attempt in range(1, TRIES + 1):
            worker, number = self._for_comparison(), next(self._numbers)
            try:
                ended, value = worker.compare(number, task)
                while not ended:
                    yield
                    ended, value = worker.compare(number, None)
                assert value is not None, "a comparison that has ended has a value"
                return value
            except ProcessEnded:
                if attempt == TRIES:
                    raise self._fault(worker) from None
            finally:
                worker.forget(number)
                with self._choosing:
                    worker.comparisons -= 1
        raise AssertionError("there is a last try")

    def _fault(self, worker: ModelProcess) -> ModelFault:
        if worker.hung:
            return ModelHung(f"no result in model_timeout_s = {self._timeout_s:g}, twice")
        return ModelError(
            "two model processes have ended over a question; the memory may be too small for "
            "workers and max_batch_tokens"
        )

    async def _next_idle(self) -> ModelProcess:
        self._require_running()
        try:
            async with asyncio.timeout(self._timeout_s):
                while not (worker := await self._idle.get()).alive():
                    pass
        except TimeoutError:
            raise self._none_free() from None
        return worker

    def _for_comparison(self) -> ModelProcess:
        """The process with the fewest comparisons, to which this one is added."""
        end = time.monotonic() + self._timeout_s
        while True:
            self._require_running()
            with self._choosing:
                if alive := [worker for worker in self.alive if worker.alive()]:
                    worker = min(alive, key=lambda one: one.comparisons)
                    worker.comparisons += 1
                    return worker
            if time.monotonic() > end:
                raise self._none_free()
            time.sleep(LOOK_S)

    def _require_running(self) -> None:
        """Raises `ModelUnavailable` after `stop`: nothing would come that is worth a wait."""
        if self._stopped:
            raise ModelUnavailable("the model processes have been ended")

    def _none_free(self) -> ModelHung:
        return ModelHung(f"no model process was free for {self._timeout_s:g} s")

    def _take_in(self, worker: ModelProcess) -> None:
        self.alive = (*self.alive, worker)
        self._telemetry.workers.set(len(self.alive))
        self._idle.put_nowait(worker)

    async def _keep(self, worker: ModelProcess) -> None:
        """Replaces the process when it has ended or hangs, and each of those that follow it."""
        while True:
            while worker.process.is_alive():
                if worker.overdue() and not worker.hung:
                    worker.end_hung()
                await asyncio.sleep(LOOK_S)
            self.alive = tuple(one for one in self.alive if one is not worker)
            self._telemetry.workers.set(len(self.alive))
            self._telemetry.worker_ends.inc()
            log.error(
                "a model process has ended (%s); another takes its place",
                f"it hung for model_timeout_s = {self._timeout_s:g}"
                if worker.hung
                else f"exit code {worker.process.exitcode}",
            )
            worker = await self._another()
            self._take_in(worker)

    async def _loaded(self, worker: ModelProcess) -> Planner:
        """What `load` returns and raises, in a thread that the process will need later."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, worker.load)
        except BaseException:  # or nobody waits for it any more
            worker.process.kill()
            raise

    async def _another(self) -> ModelProcess:
        """A new process, whose model is the same as that of the first ones."""
        while True:
            try:
                worker = await asyncio.to_thread(ModelProcess, *self._start)
                planner = await self._loaded(worker)
            except Exception as fault:
                log.error("a model process cannot be started: %s", fault or "it has ended")
            else:
                assert self._planner is not None, "the first processes have started"
                if _same(planner.info, self._planner.info):
                    return worker
                worker.process.kill()
                log.error("the files of the model have changed; start the service again")
            await asyncio.sleep(RESTART_S)


def _same(one: ModelInfo, other: ModelInfo) -> bool:
    """Whether two processes hold the same model, by its revision. How a process came by its
    kernels, and packs, decide no bits: the first has tried them, and a later one read the choice.
    """
    return replace(one, kernels=None, kernels_reason=None) == replace(
        other, kernels=None, kernels_reason=None
    )
