"""The base of pairwise classifiers: one unit of model work per pair, in one canonical order."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from darling_models.keys import content_key
from darling_models.protocol import (
    STEP_PAIRS,
    Failed,
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Steps,
    Unit,
    estimate_tokens,
    finished,
    number_fault,
)


@dataclass(frozen=True, slots=True)
class PairResult:
    probability: float
    tokens: int
    truncated: bool
    nbytes: int = 64

    @property
    def fault(self) -> Exception | None:
        return number_fault(0.0 <= self.probability <= 1.0)


class Pairwise(ABC):
    """A pairwise classifier but for `run`, its model. A group costs n (n - 1) / 2 units."""

    reads_prompt: ClassVar[bool] = False
    info: ModelInfo

    @abstractmethod
    def run(self, units: Sequence[Unit]) -> Sequence[PairResult | Failed]: ...

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        context = (prompt,) if self.reads_prompt else ()
        units = [pair_unit(texts[i], texts[j], *context) for i, j in pairs.tolist()]
        return Plan(units, np.arange(len(units), dtype=np.int64)[:, None])

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return finished(self.probabilities_in_steps(prompt, texts, pairs, results))

    def probabilities_in_steps(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        probabilities = np.empty(len(pairs), dtype=np.float64)
        for start in range(0, len(pairs), STEP_PAIRS):
            step = slice(start, start + STEP_PAIRS)
            units = self.plan(prompt, texts, pairs[step]).units
            probabilities[step] = [results[unit.key].probability for unit in units]
            yield
        return probabilities


def pair_unit(a: str, b: str, *context: str) -> Unit:
    """The unit of a pair, the same whichever text comes first; its inputs are a, b, context."""
    a, b = sorted((a, b))
    inputs = (a, b, *context)
    return Unit(content_key(*inputs), inputs, sum(map(estimate_tokens, inputs)))
