"""The base of pairwise classifiers: one unit of model work per pair, in one canonical order."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

    info: ModelInfo

    @abstractmethod
    def run(self, units: Sequence[Unit]) -> Sequence[PairResult | Failed]: ...

    def context(self, prompt: str) -> tuple[str, ...]:
        """What the model reads beside the two texts: nothing, or the prompt."""
        return ()

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return plan_of_pairs(texts, pairs, self.context(prompt))

    def planner(self) -> "PairPlanner":
        return PairPlanner(self.info, reads_prompt=bool(self.context("prompt")))

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


@dataclass(frozen=True, slots=True)
class PairPlanner:
    """A pairwise classifier without its model."""

    info: ModelInfo
    reads_prompt: bool

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return plan_of_pairs(texts, pairs, (prompt,) if self.reads_prompt else ())


def plan_of_pairs(texts: Sequence[str], pairs: IntArray, context: tuple[str, ...]) -> Plan:
    """One unit for each pair; `context` is what the model reads beside its two texts."""
    units = [pair_unit(texts[i], texts[j], *context) for i, j in pairs.tolist()]
    return Plan(units, np.arange(len(units), dtype=np.int64)[:, None])


def pair_unit(a: str, b: str, *context: str) -> Unit:
    """The unit of a pair, the same whichever text comes first; its inputs are a, b, context."""
    a, b = sorted((a, b))
    inputs = (a, b, *context)
    return Unit(content_key(*inputs), inputs, sum(map(estimate_tokens, inputs)))
