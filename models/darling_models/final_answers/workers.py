"""A pool of worker processes that compare final answers, each replaced when it has ended.

How a worker ended tells what its end means. The kernel ends one whose question used up its CPU time
with SIGXCPU: that answer cannot be compared, which is a verdict. Any other end says nothing about
the answer: the question is asked once more in a fresh worker, and then it has no verdict.
"""

import logging
import multiprocessing
import signal
import time
from pathlib import Path
from queue import SimpleQueue

from darling_models.errors import ModelUnavailable
from darling_models.extras import require
from darling_models.final_answers.worker import CPU_SECONDS, READY, serve

log = logging.getLogger(__name__)

WORKERS = 2
"""Processes, and so the comparisons at one time; each holds math-verify and SymPy in memory."""
TRIES = 2
"""Workers that are asked one question: a second, fresh one where the first ended or stood still."""
TIME_LIMIT_S = 60.0
"""Seconds for one question with all its tries and the starts of workers, which import SymPy: half
of the shortest time-out of a trainer, slime's 120 s."""
STANDSTILL_S = 10.0
"""Seconds after which a worker that uses no CPU time counts as stopped. A worker computes or
imports whenever it is waited for, and the busiest machine gives it a share within that time."""
LOOK_S = 0.5
"""Seconds between two looks at a worker's CPU time."""
OWN_FAULTS = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
)
"""Signals by which a process ends over its own fault."""


class WorkerEnded(Exception):
    """A worker ended, or had to be ended, before it answered."""

    def __init__(self, exitcode: int | None) -> None:
        """`exitcode`: the negative number of a signal; None if the worker stood still."""
        super().__init__(f"exit code {exitcode}" if exitcode is not None else "no progress")
        self.by_cpu_limit = exitcode == -signal.SIGXCPU
        self.by_own_fault = exitcode is not None and -exitcode in OWN_FAULTS


class Worker:
    """A process that is replaced when it has ended."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None

    def ask(self, answers: tuple[str, ...], deadline: float) -> bool:
        """The worker's verdict. Raises `WorkerEnded`.

        `deadline`: a time of the monotonic clock, in seconds.
        """
        if self._process is None:
            self._start(deadline)
        try:
            self._connection.send(answers)
        except OSError:  # it ended since its last answer
            raise WorkerEnded(self._end()) from None
        return bool(self._received(deadline))

    def _start(self, deadline: float) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        if self._received(deadline) != READY:
            raise WorkerEnded(self._end())

    def _received(self, deadline: float) -> object:
        """What the worker sends next."""
        assert self._process is not None
        used, since = -1, time.monotonic()
        try:
            while not self._connection.poll(LOOK_S):
                now, ticks = time.monotonic(), _cpu_ticks(self._process.pid)
                if ticks > used:
                    used, since = ticks, now
                if now - since > STANDSTILL_S or now > deadline:
                    self._end()
                    raise WorkerEnded(None)
            return self._connection.recv()
        except (EOFError, OSError):
            self._process.join(STANDSTILL_S)  # the pipe closes shortly before the process ends
            raise WorkerEnded(self._end()) from None

    def _end(self) -> int | None:
        """Ends the process if it still runs. Returns the exit code of one that had ended."""
        assert self._process is not None
        exitcode = self._process.exitcode
        self._process.kill()
        self._process.join()
        self._process.close()
        self._connection.close()
        self._process = None
        return exitcode


class Workers:
    """`WORKERS` processes, which as many threads may ask at a time."""

    def __init__(self) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        require("math", ["math_verify"])
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(WORKERS):
            self._free.put(Worker())

    def ask(self, *answers: str) -> bool:
        """Whether one answer can be compared, or two agree; False if that takes too much CPU time.

        Raises `ModelUnavailable` if no worker could tell.
        """
        worker = self._free.get()
        try:
            return _asked(worker, answers)
        finally:
            self._free.put(worker)


def _asked(worker: Worker, answers: tuple[str, ...]) -> bool:
    deadline = time.monotonic() + TIME_LIMIT_S
    for attempt in range(1, TRIES + 1):
        try:
            return worker.ask(answers, deadline)
        except WorkerEnded as end:
            if end.by_cpu_limit:
                log.warning("an answer cannot be compared in %d s of CPU time", CPU_SECONDS)
                return False
            log.warning("a worker that compares final answers ended early (%s)", end)
            if end.by_own_fault and attempt == TRIES:  # the answer makes every worker crash
                return False
        if time.monotonic() > deadline:
            break
    raise ModelUnavailable(
        "the worker processes that compare final answers end or stand still before they answer"
    )


def _cpu_ticks(pid: int | None) -> int:
    """CPU time that a process has used, in the kernel's clock ticks, from Linux's /proc.

    Raises `OSError` if the process has ended.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # in user and in kernel mode
