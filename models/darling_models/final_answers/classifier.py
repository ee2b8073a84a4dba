"""Equal final answers: two solutions are equivalent when their final answers are equal.

`1/2`, `\\frac{1}{2}` and `0.5` are one answer, whatever the way there. Answers of one plain form
are equal (`equality`); for others math-verify is asked. A text without a final answer, or with one
that cannot be compared in bounded time, is equivalent to nothing but itself.

Worker processes do the comparing (`workers`), since a hostile answer can only be stopped by killing
the process that computes it. Every answer is tried on its own first: a hostile one costs one
time-out, not one for each of its pairs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from cachetools import LRUCache

from darling_models.final_answers.equality import same_answer
from darling_models.final_answers.extraction import final_answer
from darling_models.final_answers.formula import MAX_FORMULA_CHARS, formula
from darling_models.final_answers.worker import CPU_SECONDS
from darling_models.final_answers.workers import WORKERS, Workers
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import ModelInfo, Unit

MAX_REMEMBERED_ANSWERS = 10_000
"""Answers of which it is remembered whether they can be compared: with at most
`MAX_FORMULA_CHARS` characters each, 20 MB."""


def load(name: str, target: str, options: ModelOptions) -> "Answers":
    """`answers`. Raises `ModelError` if math-verify is not installed."""
    return Answers(options)


class Answers(Pairwise):
    """A pairwise classifier that answers 0 or 1."""

    def __init__(self, options: ModelOptions = DEFAULT_OPTIONS) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        self._workers = Workers()
        self._comparable: LRUCache[str, bool] = LRUCache(MAX_REMEMBERED_ANSWERS)
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="answers")
        limits = f"{MAX_FORMULA_CHARS}/{CPU_SECONDS}/2"
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
        """Raises `ModelUnavailable` if the workers cannot tell; nothing is remembered of that."""
        texts = {text for unit in units for text in unit.inputs}
        answers = {text: _stated(text) for text in texts}
        pairs = [(answers[unit.inputs[0]], answers[unit.inputs[1]]) for unit in units]
        equal = [same_answer(*pair) for pair in pairs]
        open_pairs = sorted(
            {pair for pair, same in zip(pairs, equal, strict=True) if not same and all(pair)}
        )
        comparable = self._comparable_among({answer for pair in open_pairs for answer in pair})
        asked = [pair for pair in open_pairs if comparable.issuperset(pair)]
        verdicts = dict(
            zip(asked, self._threads.map(lambda pair: self._workers.ask(*pair), asked), strict=True)
        )
        return [
            PairResult(float(same or verdicts.get(pair, False)), unit.tokens, truncated=False)
            for unit, pair, same in zip(units, pairs, equal, strict=True)
        ]

    def _comparable_among(self, answers: set[str]) -> set[str]:
        """Those answers that are formulas which math-verify can compare in time."""
        formulas = {answer for answer in answers if formula(answer) is not None}
        known = {answer: self._comparable[answer] for answer in formulas & set(self._comparable)}
        unknown = sorted(formulas - known.keys())
        known.update(zip(unknown, self._threads.map(self._workers.ask, unknown), strict=True))
        self._comparable.update(known)
        return {answer for answer in formulas if known[answer]}


def _stated(text: str) -> str:
    """The final answer that a text states; "" if it has none, or ends in prose."""
    answer = final_answer(text)
    return answer.readings[0] if answer is not None and answer.stated else ""
