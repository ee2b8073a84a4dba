"""Lexical baselines: classifiers that need no model.

They compare words, not meaning, and are here as a yardstick: the paper found that a policy
learns to game n-gram diversity (arXiv 2509.02534, ablations). Their scores are similarities in
[0, 1], not calibrated probabilities.

The thresholds of `unigram` and `ngram` have the best balanced accuracy, in steps of 0.025, on the
1,000 human pairs that `darling-reward train` read for the embedded default; it is in-sample.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.protocol import (
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Result,
    Steps,
    Unit,
    finished,
)
from darling_models.unicode_form import compatible

PAIRS_OF_SETS = 16
"""Pairs that are compared in one step: 0.1 s where each text has 50,000 different words."""
MAX_SHORT_ANSWER_WORDS = 5
"""White-space words of the longest answer that the short-answer rule decides, as published."""

Features = TypeVar("Features")


class LexicalClassifier(ABC, Generic[Features]):
    """Compares features of two texts; each text's features are computed once a group."""

    baseline: ClassVar[ModelInfo]

    def __init__(self, options: ModelOptions = DEFAULT_OPTIONS) -> None:
        self.info = options.apply(self.baseline)

    @abstractmethod
    def features(self, text: str) -> Features: ...

    @abstractmethod
    def similarity(self, a: Features, b: Features) -> float: ...

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return Plan([], np.empty((len(pairs), 0), dtype=np.int64))

    def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        return []

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return finished(self.probabilities_in_steps(prompt, texts, pairs, results))

    def probabilities_in_steps(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        features = []
        for text in texts:
            features.append(self.features(text))
            yield
        probabilities = np.empty(len(pairs), dtype=np.float64)
        for start in range(0, len(pairs), PAIRS_OF_SETS):
            step = pairs[start : start + PAIRS_OF_SETS].tolist()
            scores = [self.similarity(features[i], features[j]) for i, j in step]
            probabilities[start : start + PAIRS_OF_SETS] = scores
            yield
        return probabilities


class Exact(LexicalClassifier[str]):
    """1 when the texts are equal up to case, white space and Unicode form (NFKC), else 0."""

    baseline = ModelInfo(
        id="exact",
        revision="1",
        threshold=0.5,
        linkage="single",
        description="Equal text, up to case, white space and Unicode compatibility form",
    )

    def features(self, text: str) -> str:
        # White space composes with nothing, so words can be normalised one by one.
        normal = " ".join(map(compatible, text.split()))
        return " ".join(normal.casefold().split())

    def similarity(self, a: str, b: str) -> float:
        return float(a == b)


class Unigram(LexicalClassifier[frozenset[str]]):
    """Jaccard similarity of the two texts' sets of lower-cased words."""

    baseline = ModelInfo(
        id="unigram",
        revision="1",
        threshold=0.225,  # balanced accuracy 0.708
        linkage="average",
        description="Jaccard similarity of word sets",
    )

    def features(self, text: str) -> frozenset[str]:
        return frozenset(text.lower().split())

    def similarity(self, a: frozenset[str], b: frozenset[str]) -> float:
        return _jaccard(a, b)


class Ngram(LexicalClassifier[frozenset[tuple[str, ...]]]):
    """Jaccard similarity of the two texts' sets of lower-cased word 4-grams."""

    baseline = ModelInfo(
        id="ngram",
        revision="1",
        threshold=0.025,  # balanced accuracy 0.682
        linkage="average",
        description="Jaccard similarity of word 4-gram sets",
    )
    size = 4

    def features(self, text: str) -> frozenset[tuple[str, ...]]:
        words = text.lower().split()
        last = max(len(words) - self.size, 0)
        return frozenset(tuple(words[i : i + self.size]) for i in range(last + 1))

    def similarity(self, a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
        return _jaccard(a, b)


BASELINES: dict[str, Callable[[ModelOptions], EquivalenceClassifier]] = {
    "exact": Exact,
    "ngram": Ngram,
    "unigram": Unigram,
}


def load(name: str, target: str, options: ModelOptions) -> EquivalenceClassifier:
    """The baseline of this name."""
    return BASELINES[name](options)


def short_answers_equivalent(a: str, b: str) -> bool | None:
    """The published short-answer rule, or None where it does not apply.

    When neither text has more than 5 white-space words, they are equivalent if the lower-cased sets
    of words share at least half of the longer one's word count:
    2 |A and B| >= max(words) (facebookresearch/darling, partition_reward_vllm_serve.py). It calls
    "Toyota Corolla Hybrid." and "Toyota Camry." different but also "no" and "No." different.
    """
    words_a, words_b = a.lower().split(), b.lower().split()
    longest = max(len(words_a), len(words_b))
    if longest > MAX_SHORT_ANSWER_WORDS:
        return None
    return 2 * len(set(words_a) & set(words_b)) >= longest


def _jaccard(a: frozenset[Any], b: frozenset[Any]) -> float:
    union = len(a | b)
    return len(a & b) / union if union else 1.0
