"""The figures of one record, by name; NaN where the record lacks what a figure needs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darling_service.evaluation.answers import votes
from darling_service.evaluation.metrics import classes, spectrum, success, wording
from darling_service.evaluation.metrics.self_bleu import self_bleu
from darling_service.evaluation.partitioning import Classes
from darling_service.evaluation.records import Record
from darling_service.rewards.exact import FloatArray

NGRAMS = (1, 2, 4)
"""Sizes n of distinct-n: words, pairs of words as in its paper, and 4-grams as in DARLING."""
LOWER_IS_BETTER = frozenset({"self_bleu"})
"""Figures of which less is better; of all others, more is."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Parameters of the figures, the same for every record of a file."""

    size: int
    """Number of rollouts, from the first, that `distinct_k` and `utility_k` look at."""
    ks: Sequence[int]
    """Numbers of tries in pass@k and its kin, ascending."""
    patience: float
    """Chance that a user who has seen an answer asks for another, in `utility_k`."""
    vendi_order: float
    """Order q of the Vendi score."""
    vocabulary: int
    """Number of distinct words in the file, for expectation-adjusted distinct."""


def measure(
    record: Record, partitions: Classes, similarity: FloatArray | None, choices: Choices
) -> dict[str, float]:
    """The record's figures by name.

    `similarity` (n, n): cosines of the rollouts, or None to leave out what needs them.
    """
    values = {
        **_success(record, partitions, choices),
        **_variety(record, partitions, choices),
        **_wording(record.texts, choices),
    }
    if record.quality is not None:
        values["quality"] = float(np.mean(record.quality))
    if similarity is not None:
        values[_vendi(choices.vendi_order)] = spectrum.vendi(similarity, choices.vendi_order)
        values["embedding_diversity"] = spectrum.embedding_diversity(similarity)
    return values


def _vendi(order: float) -> str:
    return "vendi" if order == 1 else f"vendi_q{order:g}"


def _success(record: Record, partitions: Classes, choices: Choices) -> dict[str, float]:
    if record.correct is None:
        return {}
    n, right, most = len(record.correct), sum(record.correct), choices.ks[-1]
    several = [k for k in choices.ks if k > 1]  # one try has neither a majority nor a curve
    values = {f"pass@{k}": success.pass_at_k(n, right, k) for k in choices.ks}
    if several:
        values[f"auc@{most}"] = success.auc_at_k(n, right, most)
    if record.answers is not None:
        cast = votes(record.answers)
        for k in several:
            values[f"maj@{k}"] = success.majority_at_k(cast, record.correct, k)
    sizes = list(Counter(partitions.right).values())
    for k in several:
        values[f"cov@{k}"] = success.coverage_at_n(sizes, k)
    return values


def _variety(record: Record, partitions: Classes, choices: Choices) -> dict[str, float]:
    k, n, every = choices.size, len(record.texts), partitions.every
    values = {
        f"distinct_{k}": float(classes.distinct(every[:k])),
        "class_entropy": classes.class_entropy(every),
        "effective_classes": classes.effective_classes(every),
        "simpson": classes.simpson(every),
    }
    if (valid := partitions.valid) is not None:
        values["effective_diversity"] = classes.effective_diversity_fixed(valid, n)
        values["effective_diversity_pairwise"] = classes.effective_diversity_pairwise(valid, n)
    scores = record.generation_scores if partitions.stored else None
    if scores is None and record.quality is not None:
        scores = classes.generation_scores(record.quality, every)
    if scores is not None:
        values[f"utility_{k}"] = classes.utility(scores[:k], choices.patience)
    return values


def _wording(texts: Sequence[str], choices: Choices) -> dict[str, float]:
    return {
        **{f"distinct-{size}": wording.distinct_n(texts, size) for size in NGRAMS},
        "ead": wording.expectation_adjusted_distinct(texts, choices.vocabulary),
        "self_bleu": self_bleu(texts),
        "ngram_novelty": wording.ngram_novelty(texts),
    }
