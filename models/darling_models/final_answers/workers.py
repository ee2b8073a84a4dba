"""A pool of worker processes that compare final answers, each replaced when it had to be killed."""

import logging
import multiprocessing
from queue import SimpleQueue

from darling_models.errors import ModelUnavailable
from darling_models.extras import require
from darling_models.final_answers.worker import CPU_SECONDS, READY, serve

log = logging.getLogger(__name__)

WORKERS = 2
"""Processes, and so the comparisons at one time; each holds math-verify and SymPy in memory."""
TAIL_CHARS = 8000
"""Characters read at the end of a text, where its final answer stands."""
START_TIMEOUT_S = 120.0
"""Seconds a worker may take to import math-verify and SymPy, generous for a busy machine."""
ANSWER_TIMEOUT_S = 60.0
"""Seconds to wait for a worker that neither answers nor uses CPU time; the kernel ends one that
uses more than `CPU_SECONDS`."""


class Worker:
    """A process that is replaced when it dies."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None

    def ask(self, *texts: str) -> bool | None:
        """The worker's answer, or None if it had to be killed over this question.

        Raises `ModelUnavailable` if no worker starts.
        """
        if self._process is None:
            self._start()
        try:
            self._connection.send(texts)
            if self._connection.poll(ANSWER_TIMEOUT_S):
                return bool(self._connection.recv())
        except (EOFError, OSError):
            pass
        self.stop()
        return None

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._connection.close()
            self._process = None

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
        self._connection, theirs = spawn.Pipe()
        process = spawn.Process(target=serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self._process = process
        try:
            if self._connection.poll(START_TIMEOUT_S) and self._connection.recv() == READY:
                return
        except (EOFError, OSError):
            pass
        self.stop()
        raise ModelUnavailable("the worker process that compares final answers does not start")


class Workers:
    """`WORKERS` processes, which as many threads may ask at a time."""

    def __init__(self) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        require("math", ["math_verify"])
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(WORKERS):
            self._free.put(Worker())

    def ask(self, *texts: str) -> bool | None:
        """Whether one text can be compared, or two agree; None if that took too long."""
        worker = self._free.get()
        try:
            verdict = worker.ask(*texts)
        finally:
            self._free.put(worker)
        if verdict is None:
            log.warning("an answer cannot be compared in %d s", CPU_SECONDS)
        return verdict
