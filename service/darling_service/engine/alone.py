"""A classifier of a running engine that works in small pieces, and only while nothing else does.

For the audit: an answer waits for one text or pair in the model, or for one step of comparing.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from darling_models.instructions import NO_INSTRUCTIONS, Instructions, instructed
from darling_models.notions import by_notion
from darling_models.protocol import (
    FloatArray,
    IntArray,
    ModelInfo,
    Notion,
    Plan,
    Result,
    Steps,
    Unit,
    finished,
    probabilities_in_steps,
)
from darling_service.engine.engine import Engine

PAUSE_S = 0.02
"""Seconds between two looks at whether requests are being answered."""

T = TypeVar("T")


class Alone:
    """The engine's classifier, one unit or step at a time. Its methods wait, so that only threads
    may call them."""

    def __init__(
        self,
        engine: Engine,
        busy: Callable[[], bool],
        notion: Notion | None = None,
        instructions: Instructions = NO_INSTRUCTIONS,
    ) -> None:
        """`busy`: whether requests are being answered. `notion`: None is the classifier's own."""
        self._engine = engine
        self._classifier: Any = instructed(by_notion(engine.classifier, notion), instructions)
        self._busy = busy

    def by(self, notion: Notion) -> "Alone":
        return Alone(self._engine, self._busy, notion)

    def instructed(self, instructions: Instructions) -> "Alone":
        return Alone(self._engine, self._busy, self.info.notion, instructions)

    @property
    def info(self) -> ModelInfo:
        info: ModelInfo = self._classifier.info
        return info

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        plan: Plan = self._classifier.plan(prompt, texts, pairs)
        return plan

    def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        return [self._when_idle(partial(self._engine.run_now, unit)) for unit in units]

    def probabilities_in_steps(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        steps = probabilities_in_steps(self._classifier, prompt, texts, pairs, results)
        while True:
            try:
                self._when_idle(lambda: self._engine.compare_now(partial(next, steps)))
            except StopIteration as end:
                probabilities: FloatArray = end.value
                return probabilities
            yield

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return finished(self.probabilities_in_steps(prompt, texts, pairs, results))

    def cosines(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        cosines = partial(self._classifier.cosines, texts, pairs, results)
        return self._when_idle(lambda: self._engine.compare_now(cosines))

    def _when_idle(self, work: Callable[[], T]) -> T:
        while self._busy():
            time.sleep(PAUSE_S)
        return work()
