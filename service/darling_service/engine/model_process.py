"""One model process, seen from the service: its pipes, and what it is asked over them."""

import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from threading import Lock
from typing import Any

from darling_models.errors import ModelError
from darling_models.forks import forks
from darling_models.protocol import FloatArray, Planner, Result, Unit
from darling_service.engine.worker import Load, Task, Turn, serve
from darling_service.logs import LogFormat, LogLevel

LOAD_S = 3600.0
"""Seconds after which loading a model counts as hung: big checkpoints on slow disks, with the
compilation of their kernels, take many minutes."""
PRELOADED = ["darling_models.embedded.classifier"]
"""What the process imports from which model processes are forked, so that each starts quickly."""


class ProcessEnded(Exception):
    """A model process ended, or had to be ended, before it answered."""


class ModelProcess:
    """One model process. Its methods wait, so that only threads may call them."""

    def __init__(
        self, load: Load, processes: int, timeout_s: float, log: tuple[LogLevel, LogFormat]
    ) -> None:
        """Starts the process, which loads its model."""
        context = forks(PRELOADED)
        (self._batches, batches), (self._comparing, comparing) = context.Pipe(), context.Pipe()
        self.process = context.Process(
            target=serve,
            args=(batches, comparing, load, processes, log),
            name="model",
            daemon=True,
        )
        self._timeout_s = timeout_s
        self.planner: Planner
        """Set by `load`."""
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

    def load(self) -> Planner:
        """The planner of its model, once that is loaded. Raises what loading it raises,
        `ModelError` if that takes longer than `LOAD_S`, and `ProcessEnded`."""
        if not self._batches.poll(LOAD_S):
            self.end_hung()
            raise ModelError(
                f"a model process has not loaded its model in {LOAD_S:g} s; see whether the disk "
                "or the network that it is read from answers"
            )
        fault, planner = self._received(self._batches)
        if fault is not None:
            raise fault
        self.planner = planner
        return self.planner

    def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        """What `run_batch` returns or raises there. Raises `ProcessEnded`. One call at a time."""
        results: Sequence[Result] = self._ask(self._batches, units)
        return results

    def compare(self, number: int, task: Task | None) -> tuple[bool, FloatArray | None]:
        """A slice of a comparison: whether it was the last, and then what the comparison returns.

        `task` is given with the first. Raises what the classifier raises, and `ProcessEnded`.
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
        except (OSError, MemoryError, ProcessEnded):
            # Part of a message may be left in the pipe, so that nothing more can be asked.
            self._gone = True
            self.process.kill()
            raise ProcessEnded from None
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
            raise ProcessEnded from None
        return answer
