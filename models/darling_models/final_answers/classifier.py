"""Equal final answers: two solutions are equivalent when math-verify finds their answers equal.

`1/2`, `\\frac{1}{2}` and `0.5` are one answer, whatever the way there. A text without a final
answer, or with one that cannot be compared in bounded time, is equivalent to nothing but itself.

The comparing is done by worker processes (`worker`), since hostile answers can only
be stopped by killing whoever computes them. Every text is tried on its own first: a hostile one
costs one time-out, not one for each of its pairs.
"""

import logging
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from queue import SimpleQueue

from cachetools import LRUCache

from darling_models.final_answers import worker as answer_worker
from darling_models.options import DEFAULT_OPTIONS, ModelError, ModelOptions, ModelUnavailable
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import ModelInfo, Unit

log = logging.getLogger(__name__)

WORKERS = 2
TAIL_CHARS = 8000
"""Final answers stand at the end: nothing before the last so many characters is read."""
START_S = 120.0
WALL_S = 60.0
"""For a worker that neither answers nor uses CPU time; the kernel ends those that do."""
REMEMBERED = 10_000
"""Texts whose comparability is kept in mind."""


class Worker:
    """A process that is replaced when it dies."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None

    def ask(self, *texts: str) -> bool | None:
        """The worker's answer, or None if it had to be killed over this question."""
        if self._process is None:
            self._start()
        try:
            self._connection.send(texts)
            if self._connection.poll(WALL_S):
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
        process = spawn.Process(target=answer_worker.serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self._process = process
        try:
            if self._connection.poll(START_S) and self._connection.recv() == answer_worker.READY:
                return
        except (EOFError, OSError):
            pass
        self.stop()
        raise ModelUnavailable("a worker of the answers model does not start")


class Workers:
    """`WORKERS` processes, for as many threads at a time."""

    def __init__(self) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        if find_spec("math_verify") is None:
            raise ModelError("math-verify is missing; pip install 'darling-reward[math]'")
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(WORKERS):
            self._free.put(Worker())

    def ask(self, *texts: str) -> bool | None:
        """Whether one text can be compared, or two agree; None if that took too long."""
        worker = self._free.get()
        try:
            said = worker.ask(*texts)
        finally:
            self._free.put(worker)
        if said is None:
            log.warning("an answer cannot be compared in %d s", answer_worker.CPU_SECONDS)
        return said


class Answers(Pairwise):
    """A pairwise classifier that answers 0 or 1."""

    def __init__(self, options: ModelOptions = DEFAULT_OPTIONS) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        self._workers = Workers()
        self._comparable: LRUCache[str, bool] = LRUCache(REMEMBERED)
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="answers")
        limits = f"{TAIL_CHARS}/{answer_worker.CPU_SECONDS}"
        self.info = options.apply(
            ModelInfo(
                id="answers",
                revision=f"math-verify-{version('math-verify')}/{limits}",
                threshold=0.5,
                linkage="single",  # equality is transitive
                description="Equal final answers, by math-verify",
            )
        )

    def run(self, units: Sequence[Unit]) -> list[PairResult]:
        pairs = [(unit.inputs[0][-TAIL_CHARS:], unit.inputs[1][-TAIL_CHARS:]) for unit in units]
        unknown = sorted({text for pair in pairs for text in pair if text not in self._comparable})
        known = dict(zip(unknown, self._threads.map(self._try, unknown), strict=True))
        for text in {text for pair in pairs for text in pair} - known.keys():
            known[text] = self._comparable[text]
        self._comparable.update(known)
        agreed = self._threads.map(
            lambda pair: known[pair[0]] and known[pair[1]] and bool(self._workers.ask(*pair)), pairs
        )
        return [
            PairResult(
                probability=float(same),
                tokens=unit.tokens,
                truncated=any(len(text) > TAIL_CHARS for text in unit.inputs),
            )
            for unit, same in zip(units, agreed, strict=True)
        ]

    def _try(self, text: str) -> bool:
        """Whether the text has a final answer that can be compared in time."""
        return bool(self._workers.ask(text))
