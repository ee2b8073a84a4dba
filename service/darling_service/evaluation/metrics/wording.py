"""Variety of wording: n-grams. Words are what white space parts, lower-cased."""

import math
from collections.abc import Sequence

import numpy as np

from darling_service.rewards.diversity import ngram_diversity


def words(text: str) -> list[str]:
    return text.lower().split()


def distinct_n(texts: Sequence[str], size: int) -> float:
    """Distinct-n: different n-grams over all n-grams of the texts (arXiv 1510.03055, which divides
    by words).

    No n-gram crosses from one text into the next. NaN if no text has n words.
    """
    grams = [gram for text in texts for gram in _ngrams(words(text), size)]
    return len(set(grams)) / len(grams) if grams else math.nan


def expectation_adjusted_distinct(texts: Sequence[str], vocabulary: int) -> float:
    """EAD: different words over those expected of as many random ones (Liu et al., ACL 2022).

    U / (V (1 - ((V - 1) / V)^C)): U different words, C words, V the vocabulary's size. Unlike
    distinct-1 it does not fall with length. NaN without words.
    """
    tokens = [word for text in texts for word in words(text)]
    if not tokens:
        return math.nan
    if vocabulary == 1:
        return 1.0
    expected = vocabulary * -math.expm1(len(tokens) * math.log1p(-1 / vocabulary))
    return len(set(tokens)) / expected


def ngram_novelty(texts: Sequence[str], size: int = 4) -> float:
    """Mean share of a text's n-grams that no other has: DARLING's n-gram diversity."""
    return float(np.mean(ngram_diversity(texts, size=size)))


def _ngrams(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
