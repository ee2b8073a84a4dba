"""The baselines of an evaluation: the lexical ones, ROUGE-1, TF-IDF and MiniLM's cosine.

A baseline needs a threshold for its accuracy. ROUGE-1's is the published one; the others' have the
least balanced error on the human pairs, so that on those very pairs they are flattered.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer

from darling_models.errors import ModelError
from darling_models.extras import require
from darling_models.lexical import LexicalClassifier, Ngram, Unigram
from darling_models.protocol import EquivalenceClassifier, ModelInfo

BASELINES = ("unigram", "ngram", "tfidf", "rouge1", "minilm")


def baselines(names: Sequence[str], texts: Sequence[str]) -> dict[str, EquivalenceClassifier]:
    """The baselines of these names; TF-IDF takes its document frequencies from `texts`.

    Raises `ModelError` for an unknown name, or if a baseline's package is missing.
    """
    makers: dict[str, Callable[[], EquivalenceClassifier]] = {
        "unigram": Unigram,
        "ngram": Ngram,
        "tfidf": lambda: Tfidf(texts),
        "rouge1": Rouge1,
        "minilm": _mean_cosine,
    }
    unknown = sorted(set(names) - set(makers))
    if unknown:
        raise ModelError(f"unknown baseline {unknown[0]!r}; choose from: {', '.join(BASELINES)}")
    return {name: makers[name]() for name in names}


def _mean_cosine() -> EquivalenceClassifier:
    from darling_models.evaluation.mean_cosine import MeanCosine  # imports torch

    return MeanCosine()


class Rouge1(LexicalClassifier[str]):
    """ROUGE-1's F-measure, by the package and with the threshold (0.458) of NoveltyBench."""

    baseline = ModelInfo(
        id="rouge1",
        revision="1",
        threshold=0.458,
        linkage="average",
        description="ROUGE-1 F-measure",
    )

    def __init__(self) -> None:
        super().__init__()
        require("train", ["rouge_score"])
        from rouge_score import rouge_scorer, tokenize

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
        vectorizer = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True)
        try:
            self._vectorizer = vectorizer.fit(texts)
        except ValueError:
            raise ModelError(
                "the baseline tfidf needs words, and no text has any; leave it out of --baselines"
            ) from None

    def features(self, text: str) -> Any:
        return self._vectorizer.transform([text])

    def similarity(self, a: Any, b: Any) -> float:
        # Rounding takes the cosine of equal texts beyond 1.
        return min(float(a.multiply(b).sum()), 1.0)
