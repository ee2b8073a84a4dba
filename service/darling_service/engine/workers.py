"""Model processes, each with a copy of a local model: `workers` of them behind one service.

Only the model's work crosses the boundary: batches of units, and comparing, slice by slice. What a
service promises of a whole (cohorts, limits, admission, cache, visits) stays in one process, and
the batches come from its one queue.

A process that ends, or does not answer in `model_timeout_s`, is replaced; what it was asked is
asked of another one, once.
"""

import asyncio
import logging
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count as counter
from multiprocessing.connection import Connection, wait
from threading import Lock
from typing import Any

from darling_models.errors import ModelError, ModelFault, ModelHung, ModelUnavailable
from darling_models.protocol import FloatArray, ModelInfo, Planner, Result, Steps, Unit
from darling_service.engine.worker import Load, Task, Turn, serve
from darling_service.logs import LogFormat, LogLevel
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)

LOOK_S = 0.1
"""Seconds between two looks at whether a process has ended or hangs."""
RESTART_S = 1.0
"""Seconds until a process that could not load its model is started again."""
TRIES = 2
"""Processes that are asked one question: a second one where the first ended or hung."""
PRELOADED = ["darling_models.embedded.classifier"]
"""What the process imports from which model processes are forked, so that each starts quickly."""


class WorkerEnded(Exception):
    """A model process ended, or had to be ended, before it answered."""


class Worker:
    """One model process. Its methods wait, so that only threads may call them."""

    def __init__(
        self, load: Load, processes: int, timeout_s: float, log: tuple[LogLevel, LogFormat]
    ) -> None:
        """Starts the process, and waits until it has loaded its model. Raises what `load` raises,
        and `WorkerEnded`."""
        # A fork of this process would copy its threads' locks.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        (self._batches, batches), (self._comparing, comparing) = context.Pipe(), context.Pipe()
        self.process = context.Process(
            target=serve,
            args=(batches, comparing, load, processes, log),
            name="model",
            daemon=True,
        )
        self._timeout_s = timeout_s
        self._since: dict[Connection, float] = {}
        """When each question was asked that has no answer yet, by the monotonic clock."""
        self._one_slice = Lock()
        self._forgotten: list[int] = []
        self.hung = False
        self._gone = False
        """Whether it has left a question without an answer."""
        self.comparisons = 0
        """Comparisons that are in it."""
        self.process.start()
        batches.close()
        comparing.close()
        fault, planner = self._received(self._batches)
        if fault is not None:
            raise fault
        self.planner: Planner = planner

    def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        """What `run_batch` returns or raises there. Raises `WorkerEnded`. One call at a time."""
        results: Sequence[Result] = self._ask(self._batches, units)
        return results

    def compare(self, number: int, task: Task | None) -> tuple[bool, FloatArray | None]:
        """A slice of a comparison: whether it was the last, and then what the comparison returns.

        `task` is given with the first. Raises what the classifier raises, and `WorkerEnded`.
        """
        with self._one_slice:
            forgotten, self._forgotten = self._forgotten, []
            ended: tuple[bool, FloatArray | None] = self._ask(
                self._comparing, Turn(number, task, forgotten)
            )
        return ended

    def forget(self, number: int) -> None:
        """The comparison is wanted no more; the process learns it with the next. Does not wait."""
        self._forgotten.append(number)

    def overdue(self) -> bool:
        """Whether a question has waited longer than it may."""
        began = min(tuple(self._since.values()), default=None)
        return began is not None and time.monotonic() - began > self._timeout_s

    def alive(self) -> bool:
        return not self._gone and not wait([self.process.sentinel], timeout=0)

    def end_hung(self) -> None:
        self.hung = True
        self.process.kill()

    def _ask(self, connection: Connection, question: object) -> Any:
        self._since[connection] = time.monotonic()
        try:
            connection.send(question)
            fault, result = self._received(connection)
        except (OSError, MemoryError, WorkerEnded):
            # Part of a message may be left in the pipe, so that nothing more can be asked.
            self._gone = True
            self.process.kill()
            raise WorkerEnded from None
        finally:
            del self._since[connection]
        if fault is not None:  # the model's own, which may be an `OSError`
            raise fault
        return result

    def _received(self, connection: Connection) -> tuple[Exception | None, Any]:
        """The fault of the model, or else its answer."""
        try:
            answer: tuple[Exception | None, Any] = connection.recv()
        except (EOFError, OSError):
            raise WorkerEnded from None
        return answer


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
        self.alive: tuple[Worker, ...] = ()
        self._start = (load, count, timeout_s, log)
        self._timeout_s = timeout_s
        self._telemetry = telemetry
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self._keepers: list[asyncio.Task[None]] = []
        self._numbers = counter()
        self._choosing = Lock()
        self._planner: Planner | None = None
        self._stopped = False

    async def start(self) -> Planner:
        """Starts the processes. Raises `ModelError`."""
        starts = (asyncio.to_thread(Worker, *self._start) for _ in range(self.count))
        started = await asyncio.gather(*starts, return_exceptions=True)
        workers = [one for one in started if isinstance(one, Worker)]
        faults = [one for one in started if isinstance(one, BaseException)]
        if faults:
            for worker in workers:
                worker.process.kill()
            if isinstance(faults[0], WorkerEnded):
                raise ModelError(
                    "a model process ended while it loaded the model; give the service more "
                    f"memory, or fewer workers than {self.count}"
                )
            raise faults[0]
        self._planner = workers[0].planner
        if not all(_same(worker.planner.info, self._planner.info) for worker in workers):
            for worker in workers:
                worker.process.kill()
            raise ModelError(
                "the model processes give a text different bits, since each has chosen kernels for "
                "itself; start the service again, with the setting kernels if that does not help"
            )
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
            except WorkerEnded:
                if attempt == TRIES:
                    raise self._fault(worker) from None
        raise AssertionError("there is a last try")

    def _run_in(self, worker: Worker, units: Sequence[Unit]) -> asyncio.Future[Sequence[Result]]:
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
            except WorkerEnded:
                if attempt == TRIES:
                    raise self._fault(worker) from None
            finally:
                worker.forget(number)
                with self._choosing:
                    worker.comparisons -= 1
        raise AssertionError("there is a last try")

    def _fault(self, worker: Worker) -> ModelFault:
        if worker.hung:
            return ModelHung(f"no result in model_timeout_s = {self._timeout_s:g}, twice")
        return ModelError(
            "two model processes have ended over a question; the memory may be too small for "
            "workers and max_batch_tokens"
        )

    async def _next_idle(self) -> Worker:
        self._require_running()
        try:
            async with asyncio.timeout(self._timeout_s):
                while not (worker := await self._idle.get()).alive():
                    pass
        except TimeoutError:
            raise self._none_free() from None
        return worker

    def _for_comparison(self) -> Worker:
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

    def _take_in(self, worker: Worker) -> None:
        self.alive = (*self.alive, worker)
        self._telemetry.workers.set(len(self.alive))
        self._idle.put_nowait(worker)

    async def _keep(self, worker: Worker) -> None:
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

    async def _another(self) -> Worker:
        """A new process, whose model is the same as that of the first ones."""
        while True:
            try:
                worker = await asyncio.to_thread(Worker, *self._start)
            except Exception as fault:
                log.error("a model process cannot be started: %s", fault or "it has ended")
            else:
                assert self._planner is not None, "the first processes have started"
                if _same(worker.planner.info, self._planner.info):
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
