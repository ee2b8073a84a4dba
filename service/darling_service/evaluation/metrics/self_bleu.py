"""Self-BLEU: how much the texts of a group repeat each other's n-grams."""

import math
from collections import Counter
from collections.abc import Sequence

ORDERS = 4
"""Words of the longest n-grams: BLEU-4."""
Ngrams = Counter[tuple[str, ...]]


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU-4 of each text against all others, in [0, 1]; lower is more varied. NaN for one.

    Source: arXiv 1802.01886, by sacrebleu with its default tokens and smoothing. Its
    `sentence_score` would count the n-grams of all other texts anew for each text; here each text's
    are counted once, and sacrebleu makes the score of the same counts.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.helpers import extract_all_word_ngrams

    if len(texts) < 2:
        return math.nan
    tokenizer = BLEU().tokenizer
    own, lengths = zip(
        *(extract_all_word_ngrams(tokenizer(text.rstrip()), 1, ORDERS) for text in texts),
        strict=True,
    )
    highest = _two_highest(own)
    scores = []
    for i, ngrams in enumerate(own):
        correct, total = [0] * ORDERS, [0] * ORDERS
        for ngram, count in ngrams.items():
            first, second = highest[ngram]
            others = second if count == first else first
            total[len(ngram) - 1] += count
            correct[len(ngram) - 1] += min(count, others)
        closest = _closest(lengths[i], lengths[:i] + lengths[i + 1 :])
        score = BLEU.compute_bleu(
            correct, total, lengths[i], closest, smooth_method="exp", effective_order=True
        )
        scores.append(score.score)
    return math.fsum(scores) / len(scores) / 100


def _closest(own: int, others: Sequence[int]) -> int:
    """The nearest of the other lengths; of two that are as near, the shorter."""
    return min(others, key=lambda length: (abs(length - own), length))


def _two_highest(groups: Sequence[Ngrams]) -> dict[tuple[str, ...], tuple[int, int]]:
    """The two highest counts of each n-gram among the texts, 0 for a text that lacks it.

    Where a text has the highest count, the second is the highest of the others.
    """
    highest: dict[tuple[str, ...], tuple[int, int]] = {}
    for ngrams in groups:
        for ngram, count in ngrams.items():
            first, second = highest.get(ngram, (0, 0))
            highest[ngram] = (count, first) if count > first else (first, max(second, count))
    return highest
