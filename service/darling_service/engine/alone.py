"""A classifier of a running engine that works in small pieces, and only while nothing else does.

For the audit: an answer waits for one text, or for the pairs of one slice, at most.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from darling_models.protocol import FloatArray, IntArray, ModelInfo, Plan, Result, Unit
from darling_service.engine.engine import Engine

PAUSE_S = 0.02
"""Seconds between two looks at whether requests are being answered."""
SLICE = 64
"""Pairs that are compared at one time: some 5 ms of work with the embedded default."""


class Alone:
    """The engine's classifier, one unit or slice of pairs at a time. Its methods wait: they are
    called from threads."""

    def __init__(self, engine: Engine, busy: Callable[[], bool]) -> None:
        """`busy`: whether requests are being answered."""
        self._engine = engine
        self._classifier: Any = engine.classifier
        self._busy = busy

    @property
    def info(self) -> ModelInfo:
        info: ModelInfo = self._classifier.info
        return info

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        plan: Plan = self._classifier.plan(prompt, texts, pairs)
        return plan

    def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        return [self._run(unit) for unit in units]

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return self._by_slices(
            lambda some: self._classifier.probabilities(prompt, texts, some, results), pairs
        )

    def cosines(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return self._by_slices(lambda some: self._classifier.cosines(texts, some, results), pairs)

    def _run(self, unit: Unit) -> Result:
        self._wait()
        return self._engine.run_unit(unit)

    def _by_slices(self, values: Callable[[IntArray], FloatArray], pairs: IntArray) -> FloatArray:
        parts = [np.zeros(0, dtype=np.float64)]
        for start in range(0, len(pairs), SLICE):
            self._wait()
            parts.append(self._engine.compare(partial(values, pairs[start : start + SLICE])))
        return np.concatenate(parts)

    def _wait(self) -> None:
        while self._busy():
            time.sleep(PAUSE_S)
