"""A local model of which other processes hold the copies: the engine's classifier in the service.

It plans here. Batches go to the processes past it (`Model`), and comparing goes there where it
computes: pairwise results are probabilities already.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from darling_models.notions import Notional
from darling_models.pairs import PairPlanner, PairResult, Pairwise
from darling_models.protocol import (
    EquivalenceClassifier,
    Failed,
    FloatArray,
    IntArray,
    ModelInfo,
    Notion,
    Plan,
    Planner,
    Result,
    Steps,
    Unit,
    finished,
)
from darling_service.engine.pool import Pool
from darling_service.engine.worker import Task


def elsewhere(planner: Planner, workers: Pool) -> EquivalenceClassifier:
    """The classifier of this planner, computed by these processes."""
    if isinstance(planner, PairPlanner):
        return PairsElsewhere(planner)
    return TextsElsewhere(planner, workers)


class PairsElsewhere(Pairwise):
    """A pairwise classifier."""

    def __init__(self, planner: PairPlanner) -> None:
        self._planner = planner
        self.info = planner.info

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return self._planner.plan(prompt, texts, pairs)

    def run(self, units: Sequence[Unit]) -> Sequence[PairResult | Failed]:
        raise NotImplementedError("batches are run by the model processes")


class TextsElsewhere:
    """An encode-once classifier, whose comparing takes as long as a part of its model."""

    def __init__(self, planner: Planner, workers: Pool) -> None:
        self._planner = planner
        self._workers = workers

    @property
    def info(self) -> ModelInfo:
        return self._planner.info

    def by(self, notion: Notion) -> "TextsElsewhere":
        assert isinstance(self._planner, Notional), "its info names several notions"
        return TextsElsewhere(self._planner.by(notion), self._workers)

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return self._planner.plan(prompt, texts, pairs)

    def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        raise NotImplementedError("batches are run by the model processes")

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return finished(self.probabilities_in_steps(prompt, texts, pairs, results))

    def probabilities_in_steps(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        about = self.info.notion, prompt, texts, pairs, results
        return (yield from self._workers.compare(Task("probabilities", *about)))

    def cosines(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        about = self.info.notion, "", texts, pairs, results
        return finished(self._workers.compare(Task("cosines", *about)))
