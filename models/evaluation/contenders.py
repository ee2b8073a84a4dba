"""What a classifier is compared with: the lexical ones, ROUGE-1, TF-IDF and MiniLM's cosine.

A baseline needs a threshold for its accuracy. ROUGE-1's is the published one; the others' have the
least balanced error on the human pairs, so that on those very pairs they are flattered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from models.encoder import TextEncoder, Vectors, wheel_weights
from models.lexical import LexicalClassifier, Ngram, Unigram
from models.options import DEFAULT_OPTIONS, ModelError
from models.protocol import (
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Unit,
    content_key,
    estimate_tokens,
)

BASELINES = ("unigram", "ngram", "tfidf", "rouge1", "minilm")


def baselines(names: Sequence[str], texts: Sequence[str]) -> dict[str, EquivalenceClassifier]:
    """The named ones; `texts` are what TF-IDF takes its document frequencies from."""
    makers: dict[str, Callable[[], EquivalenceClassifier]] = {
        "unigram": Unigram,
        "ngram": Ngram,
        "tfidf": lambda: Tfidf(texts),
        "rouge1": Rouge1,
        "minilm": MeanCosine,
    }
    unknown = sorted(set(names) - set(makers))
    if unknown:
        raise ModelError(f"unknown baseline {unknown[0]!r}; choose from: {', '.join(BASELINES)}")
    return {name: makers[name]() for name in names}


class Rouge1(LexicalClassifier[str]):
    """ROUGE-1's F-measure, by the package that NoveltyBench uses, above its .458."""

    baseline = ModelInfo(
        id="rouge1",
        revision="1",
        threshold=0.458,
        linkage="average",
        description="ROUGE-1 F-measure",
    )

    def __init__(self) -> None:
        super().__init__()
        try:
            from rouge_score import rouge_scorer, tokenize
        except ImportError as error:
            raise ModelError(
                "the baseline rouge1 needs rouge-score: pip install 'darling-reward[train]'"
            ) from error

        class Tokenizer:
            """Each text is split once, though it is in many pairs."""

            tokenize = staticmethod(cache(lambda text: tokenize.tokenize(text, None)))

        self._scorer = rouge_scorer.RougeScorer(["rouge1"], tokenizer=Tokenizer())

    def features(self, text: str) -> str:
        return text

    def similarity(self, a: str, b: str) -> float:
        return float(self._scorer.score(a, b)["rouge1"].fmeasure)


class Tfidf(LexicalClassifier[Any]):
    """Cosine of two texts' TF-IDF vectors of words."""

    baseline = ModelInfo(
        id="tfidf",
        revision="1",
        threshold=0.525,
        linkage="average",
        description="Cosine of TF-IDF vectors of words",
    )

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        # Any run of non-space characters counts, so that "No" and "5" are words too.
        self._vectorizer = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True).fit(texts)

    def features(self, text: str) -> Any:
        return self._vectorizer.transform([text])

    def similarity(self, a: Any, b: Any) -> float:
        return float(a.multiply(b).sum())


@dataclass(frozen=True, slots=True)
class MeanVector:
    direction: Vectors
    tokens: int
    truncated: bool = False

    @property
    def nbytes(self) -> int:
        return self.direction.nbytes


class MeanCosine:
    """Cosine of two texts' mean token vectors, by MiniLM without any training."""

    info = ModelInfo(
        id="minilm",
        revision="1",
        threshold=0.0,
        linkage="average",
        description="Cosine of all-MiniLM-L6-v2's mean token vectors",
    )

    def __init__(self, device: str = DEFAULT_OPTIONS.device) -> None:
        self._encoder = TextEncoder(wheel_weights(), device)

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        used, local = np.unique(pairs, return_inverse=True)
        units = [Unit(content_key(t), (t,), estimate_tokens(t)) for t in (texts[i] for i in used)]
        return Plan(units, local.reshape(pairs.shape).astype(np.int64))

    def run(self, units: Sequence[Unit]) -> list[MeanVector]:
        tokenized = self._encoder.tokenize([unit.inputs[0] for unit in units])
        means = [rows.mean(axis=0) for rows in self._encoder.token_vectors(tokenized)]
        return [
            MeanVector(mean / np.linalg.norm(mean), len(text.ids))
            for mean, text in zip(means, tokenized, strict=True)
        ]

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        used = {i: results[content_key(texts[i])].direction for i in np.unique(pairs).tolist()}
        cosines = [used[i] @ used[j] for i, j in pairs.tolist()]
        return np.clip(np.asarray(cosines, dtype=np.float64), 0.0, 1.0)
