"""What runs in a model process: a copy of a local model, for batches and for comparing.

Batches come over one pipe and comparisons over another, each answered in a thread of its own, as in
a service without model processes. Only the service writes to the pipes, and only numbers and texts
that it has checked: nothing that a caller has pickled is ever read.
"""

import gc
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, Literal, NoReturn

from darling_models.errors import ModelError
from darling_models.forks import STOPS
from darling_models.notions import by_notion
from darling_models.protocol import (
    Copied,
    Distant,
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    Notion,
    Planner,
    Steps,
    probabilities_in_steps,
    run_batch,
)
from darling_models.runtime.pack_threads import share_cores
from darling_service.engine.comparing import take_slice
from darling_service.logs import LogFormat, LogLevel, configure

Load = Callable[[], EquivalenceClassifier]
"""What loads the classifier; it is sent to the processes, so it must be a function of a module."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a classifier makes of the results of some pairs."""

    makes: Literal["probabilities", "cosines"]
    notion: Notion | None
    prompt: str
    texts: Sequence[str]
    pairs: IntArray
    results: Mapping[bytes, Any]

    def steps(self, classifier: Any) -> Steps[FloatArray]:
        """The task by this classifier, in steps."""
        by = by_notion(classifier, self.notion)
        if self.makes == "probabilities":
            about = self.prompt, self.texts, self.pairs, self.results
            return (yield from probabilities_in_steps(by, *about))
        cosines: FloatArray = by.cosines(self.texts, self.pairs, self.results)  # type: ignore[attr-defined]
        return cosines


@dataclass(frozen=True, slots=True)
class Turn:
    """A slice of a comparison."""

    number: int
    task: Task | None
    """None for a comparison that has begun."""
    forgotten: Sequence[int]
    """Comparisons that nobody wants any more."""


class Comparisons:
    """The comparisons of this process, each as far as it has come."""

    def __init__(self, classifier: EquivalenceClassifier) -> None:
        self._classifier = classifier
        self._steps: dict[int, Steps[FloatArray]] = {}

    def take(self, turn: Turn) -> tuple[bool, FloatArray | None]:
        """Whether the comparison has ended with this slice, and then what it returns."""
        for number in turn.forgotten:
            self._steps.pop(number, None)
        if turn.task is not None:
            self._steps[turn.number] = turn.task.steps(self._classifier)
        return take_slice(self._steps[turn.number])


def serve(
    batches: Connection,
    comparing: Connection,
    load: Load,
    processes: int,
    log: tuple[LogLevel, LogFormat],
) -> None:
    """Loads the model, sends its planner, and answers until the service ends.

    `processes`: how many of them share the cores.
    """
    for stop in STOPS:  # they reach the whole group; the service decides
        signal.signal(stop, signal.SIG_IGN)
    Thread(target=_end_with_service, daemon=True).start()
    configure(*log)
    share_cores(processes)
    try:
        classifier = load()
        planner = planner_of(classifier)
    except Exception as fault:
        _send(batches, fault, None)
        return
    gc.freeze()
    _send(batches, None, planner)
    Thread(target=_answer_all, args=(comparing, Comparisons(classifier).take), daemon=True).start()
    _answer_all(batches, partial(run_batch, classifier))


def _end_with_service() -> NoReturn:
    """Ends the process with the service, however long it would still load or compute."""
    service = multiprocessing.parent_process()
    assert service is not None, "a service has started it"
    service.join()
    os._exit(0)


def planner_of(classifier: EquivalenceClassifier) -> Planner:
    """The classifier's planner. Raises `ModelError` if copies of it would gain nothing."""
    if isinstance(classifier, Distant) or not isinstance(classifier, Copied):
        raise ModelError(
            f"the model {classifier.info.id!r} has no local weights to compute with, so it cannot "
            "use workers; leave workers out, or serve a local model, such as embedded or "
            "cross-encoder:PATH_OR_ID"
        )
    return classifier.planner()


def _answer_all(connection: Connection, answer: Callable[[Any], Any]) -> None:
    """Answers each question, and ends the process when the service has gone."""
    while True:
        try:
            question = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        try:
            fault, result = None, answer(question)
        except Exception as error:
            fault, result = error, None
            # The service's log shows where it was raised; a pickled exception has no traceback.
            error.add_note("".join(traceback.format_tb(error.__traceback__)))
        _send(connection, fault, result)


def _send(connection: Connection, fault: Exception | None, result: object) -> None:
    try:
        connection.send((fault, result))
    except OSError:
        os._exit(0)
    except Exception as error:  # what cannot be pickled
        what = fault if fault is not None else error
        connection.send((ModelError(f"{type(what).__name__}: {what}"), None))
