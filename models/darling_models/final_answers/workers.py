"""A pool of worker processes that compare final answers, each replaced when it has ended.

How a worker ended tells what its end means. The kernel ends one whose question used up its CPU time
with SIGXCPU: that answer cannot be compared, which is a verdict. Any other end says nothing about
the answer: the question is asked once more in a fresh worker, and then it has no verdict.

Answers that take long must not hold up the others. A question has little time at first; one that
needs more waits in a queue of its own, from which one worker at a time takes. An answer that has
used up its time is remembered, and not computed again.
"""

import logging
import signal
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock

from cachetools import LRUCache

from darling_models.errors import ModelUnavailable
from darling_models.extras import require
from darling_models.final_answers.worker import CPU_SECONDS, READY, serve
from darling_models.forks import forks

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
MAX_SLOW_WAIT_S = 5.0
"""Seconds after which a slow question is taken before new ones, so that its group has an end."""
MAX_REMEMBERED = 10_000
"""Questions that are remembered because they took too long: with two answers each, 40 MB."""
OWN_FAULTS = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
)
"""Signals by which a process ends over its own fault."""


NAME = "final-answers"
"""Name of a worker process."""
Answers = tuple[str, ...]
"""What is asked about: one answer or two."""


class WorkerEnded(Exception):
    """A worker ended, or had to be ended, before it answered."""

    def __init__(self, exitcode: int | None) -> None:
        """`exitcode`: the negative number of a signal; None if the worker stood still."""
        super().__init__(f"exit code {exitcode}" if exitcode is not None else "no progress")
        self.by_cpu_limit = exitcode == -signal.SIGXCPU
        self.by_quick_limit = exitcode == -signal.SIGPROF
        self.by_own_fault = exitcode is not None and -exitcode in OWN_FAULTS


class Worker:
    """A process that is replaced when it has ended."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None

    def ask(self, answers: "Answers", quick: bool, deadline: float) -> bool:
        """The worker's verdict. Raises `WorkerEnded`.

        `deadline`: a time of the monotonic clock, in seconds.
        """
        if self._process is None:
            self._start(deadline)
        try:
            self._connection.send((quick, answers))
        except OSError:  # it ended since its last answer
            raise WorkerEnded(self._end()) from None
        return bool(self._received(deadline))

    def _start(self, deadline: float) -> None:
        server = forks(["darling_models.final_answers.preloaded"])
        self._connection, theirs = server.Pipe()
        self._process = server.Process(target=serve, args=(theirs,), name=NAME, daemon=True)
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


@dataclass(slots=True)
class Question:
    answers: Answers
    verdict: "Future[bool]" = field(default_factory=Future)
    asked: float = field(default_factory=time.monotonic)


class Workers:
    """`WORKERS` processes, and the questions that wait for them."""

    def __init__(self) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        require("math", ["math_verify"])
        self._free = [Worker() for _ in range(WORKERS)]
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="final-answers")
        self._lock = Lock()
        self._new: deque[Question] = deque()
        self._slow: deque[Question] = deque()
        self._slow_runs = False
        self._too_long: LRUCache[Answers, None] = LRUCache(MAX_REMEMBERED)
        """Questions whose verdict is that they cannot be computed in time."""

    def ask(self, *answers: str) -> bool:
        """Whether one answer can be compared, or two agree; False if that takes too much CPU time.

        Raises `ModelUnavailable` if no worker could tell.
        """
        return self.submit(*answers).result()

    def submit(self, *answers: str) -> "Future[bool]":
        """What `ask` returns or raises, to come. It may be cancelled while no worker has it."""
        question = Question(answers)
        with self._lock:
            if self._is_too_long(answers):
                question.verdict.set_result(False)
                return question.verdict
            self._new.append(question)
        self._threads.submit(self._answer_next)
        return question.verdict

    def _answer_next(self) -> None:
        """Answers the question whose turn it is; none if only slow ones wait and one is asked."""
        with self._lock:
            oldest = self._slow[0] if self._slow and not self._slow_runs else None
            waits_long = oldest and time.monotonic() - oldest.asked > MAX_SLOW_WAIT_S
            slow = oldest is not None and (not self._new or bool(waits_long))
            if not slow and not self._new:
                return
            question = (self._slow if slow else self._new).popleft()
            self._slow_runs |= slow
            worker = self._free.pop()
        try:
            self._answer(worker, question, slow)
        finally:
            with self._lock:
                self._free.append(worker)
                self._slow_runs &= not slow
            self._threads.submit(self._answer_next)

    def _answer(self, worker: Worker, question: Question, slow: bool) -> None:
        verdict = question.verdict
        if not (verdict.running() or verdict.set_running_or_notify_cancel()):
            return
        try:
            if slow:
                verdict.set_result(self._slowly(worker, question.answers))
            else:
                verdict.set_result(_asked(worker, question.answers, quick=True))
        except WorkerEnded:  # it takes longer than most
            with self._lock:
                self._slow.append(question)
        except Exception as error:
            verdict.set_exception(error)

    def _slowly(self, worker: Worker, answers: Answers) -> bool:
        """The verdict with all of the CPU time.

        Each answer of two is tried by itself before, so that a hostile one is known wherever it
        comes again.
        """
        verdict = False
        alone = [(answer,) for answer in answers] if len(answers) > 1 else []
        for question in [*alone, answers]:
            with self._lock:
                if self._is_too_long(question):
                    return False
            try:
                verdict = _asked(worker, question, quick=False)
            except WorkerEnded:
                with self._lock:
                    self._too_long[question] = None
                return False
        return verdict

    def _is_too_long(self, answers: Answers) -> bool:
        return any(known in self._too_long for known in [answers, *((one,) for one in answers)])


def _asked(worker: Worker, answers: Answers, quick: bool) -> bool:
    """The verdict of a worker. Raises `WorkerEnded` if the answers use up their CPU time, and
    `ModelUnavailable` if no worker could tell."""
    deadline = time.monotonic() + TIME_LIMIT_S
    for attempt in range(1, TRIES + 1):
        try:
            return worker.ask(answers, quick, deadline)
        except WorkerEnded as end:
            if end.by_quick_limit and quick:
                raise
            if end.by_cpu_limit:
                log.warning("an answer cannot be compared in %d s of CPU time", CPU_SECONDS)
                raise
            log.warning("a worker that compares final answers ended early (%s)", end)
            if end.by_own_fault and attempt == TRIES:  # the answer makes every worker crash
                raise
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
