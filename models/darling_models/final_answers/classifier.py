"""Equal final answers: two solutions are equivalent when math-verify finds their answers equal.

`1/2`, `\\frac{1}{2}` and `0.5` are one answer, whatever the way there. A text without a final
answer, or with one that cannot be compared in bounded time, is equivalent to nothing but itself.

Worker processes do the comparing (`workers`), since a hostile answer can only be stopped by killing
the process that computes it. Every text is tried on its own first: a hostile one costs one
time-out, not one for each of its pairs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from cachetools import LRUCache

from darling_models.final_answers.worker import CPU_SECONDS
from darling_models.final_answers.workers import TAIL_CHARS, WORKERS, Workers
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import ModelInfo, Unit

MAX_REMEMBERED_TEXTS = 10_000
"""Texts of which it is remembered whether they can be compared: with at most
`TAIL_CHARS` characters each, 80 MB."""


def load(name: str, target: str, options: ModelOptions) -> "Answers":
    """`answers`. Raises `ModelError` if math-verify is not installed."""
    return Answers(options)


class Answers(Pairwise):
    """A pairwise classifier that answers 0 or 1."""

    def __init__(self, options: ModelOptions = DEFAULT_OPTIONS) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        self._workers = Workers()
        self._comparable: LRUCache[str, bool] = LRUCache(MAX_REMEMBERED_TEXTS)
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="answers")
        limits = f"{TAIL_CHARS}/{CPU_SECONDS}"
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
