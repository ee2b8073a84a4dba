"""Equal final answers: two solutions are equivalent when their final answers are equal.

`1/2`, `\\frac{1}{2}` and `0.5` are one answer, whatever the way there. Answers of one plain form
are equal (`equality`); for others math-verify is asked. A text without a final answer, or with one
that cannot be compared in bounded time, is equivalent to nothing but itself.

Worker processes do the comparing (`workers`), since a hostile answer can only be stopped by killing
the process that computes it. Every answer is tried on its own first: a hostile one costs one
time-out, not one for each of its pairs.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from importlib.metadata import version

from cachetools import LRUCache

from darling_models.final_answers.equality import same_answer
from darling_models.final_answers.extraction import final_answer
from darling_models.final_answers.formula import MAX_FORMULA_CHARS, formula
from darling_models.final_answers.worker import CPU_SECONDS
from darling_models.final_answers.workers import Workers
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import ModelInfo, Unit
from darling_models.remote.servers_loop import begin

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
        return self.begin(units).result()

    def begin(self, units: Sequence[Unit]) -> "Future[list[PairResult]]":
        """What `run` returns or raises, to come: hostile answers must hold up no other batch."""
        return begin(self._run(units))

    async def _run(self, units: Sequence[Unit]) -> list[PairResult]:
        pairs, equal = await asyncio.to_thread(_read, units)
        open_pairs = sorted(
            {pair for pair, same in zip(pairs, equal, strict=True) if not same and all(pair)}
        )
        comparable = await self._comparable_among({one for pair in open_pairs for one in pair})
        asked = [pair for pair in open_pairs if comparable.issuperset(pair)]
        verdicts = dict(zip(asked, await self._verdicts(asked), strict=True))
        return [
            PairResult(float(same or verdicts.get(pair, False)), unit.tokens, truncated=False)
            for unit, pair, same in zip(units, pairs, equal, strict=True)
        ]

    async def _comparable_among(self, answers: set[str]) -> set[str]:
        """Those answers that are formulas which math-verify can compare in time."""
        formulas = {answer for answer in answers if formula(answer) is not None}
        known = {answer: self._comparable[answer] for answer in formulas & set(self._comparable)}
        unknown = sorted(formulas - known.keys())
        verdicts = await self._verdicts([(answer,) for answer in unknown])
        known.update(zip(unknown, verdicts, strict=True))
        self._comparable.update(known)
        return {answer for answer in formulas if known[answer]}

    async def _verdicts(self, questions: Sequence[tuple[str, ...]]) -> list[bool]:
        asked = [asyncio.wrap_future(self._workers.submit(*answers)) for answers in questions]
        return await asyncio.gather(*asked)


def _read(units: Sequence[Unit]) -> tuple[list[tuple[str, str]], list[bool]]:
    """The final answers of each pair, and whether they are the same as they are written."""
    answers = {text: _stated(text) for text in {text for unit in units for text in unit.inputs}}
    pairs = [(answers[unit.inputs[0]], answers[unit.inputs[1]]) for unit in units]
    return pairs, [same_answer(*pair) for pair in pairs]


def _stated(text: str) -> str:
    """The final answer that a text states; "" if it has none, or ends in prose."""
    answer = final_answer(text)
    return answer.readings[0] if answer is not None and answer.stated else ""
