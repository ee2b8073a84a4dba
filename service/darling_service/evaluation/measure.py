"""The figures of one record, by name; NaN where the record lacks what a figure needs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darling_service.evaluation.metrics import classes, spectrum, success, wording
from darling_service.evaluation.records import Record
from darling_service.rewards.exact import FloatArray

NGRAMS = (1, 2, 4)
"""Sizes n of distinct-n: words, pairs of words as in its paper, and 4-grams as in DARLING."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Parameters of the figures, the same for every record."""

    size: int
    """Number of rollouts, from the first, that `distinct_k` and `utility_k` look at."""
    ks: Sequence[int]
    """Numbers of tries in pass@k and its kin, ascending."""
    threshold: float | None
    """Quality from which a rollout is valid; None: `correct` decides, else all are valid."""
    patience: float
    """Chance that a user who has seen an answer asks for another, in `utility_k`."""
    vendi_order: float
    """Order q of the Vendi score."""
    vocabulary: int
    """Number of distinct words in all files, for expectation-adjusted distinct."""


def measure(
    record: Record, partition: Sequence[int], similarity: FloatArray | None, choices: Choices
) -> dict[str, float]:
    """The record's figures by name.

    `partition` (n,) holds the class of each rollout, `similarity` (n, n) the cosines of the
    rollouts, or None to leave out what needs them.
    """
    values = {
        **_success(record, partition, choices),
        **_variety(record, partition, choices),
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


def _success(record: Record, partition: Sequence[int], choices: Choices) -> dict[str, float]:
    if record.correct is None:
        return {}
    n, right = len(record.correct), sum(record.correct)
    values = {f"pass@{k}": success.pass_at_k(n, right, k) for k in choices.ks}
    values[f"auc@{choices.ks[-1]}"] = success.auc_at_k(n, right, choices.ks[-1])
    if record.answers is not None:
        for k in choices.ks[1:]:
            values[f"maj@{k}"] = success.majority_at_k(record.answers, record.correct, k)
    sizes = Counter(c for c, good in zip(partition, record.correct, strict=True) if good)
    for k in choices.ks[1:]:
        values[f"cov@{k}"] = success.coverage_at_n(list(sizes.values()), k)
    return values


def _variety(record: Record, partition: Sequence[int], choices: Choices) -> dict[str, float]:
    k = choices.size
    first, valid = partition[:k], _valid(record, choices.threshold)
    values = {
        f"distinct_{k}": float(classes.distinct(first)),
        "class_entropy": classes.class_entropy(partition),
        "effective_classes": classes.effective_classes(partition),
        "simpson": classes.simpson(partition),
        "effective_diversity": classes.effective_diversity_fixed(partition, valid),
        "effective_diversity_pairwise": classes.effective_diversity_pairwise(partition, valid),
    }
    scores = record.generation_scores
    if scores is None and record.quality is not None:
        scores = classes.generation_scores(record.quality, partition)
    if scores is not None:
        values[f"utility_{k}"] = classes.utility(scores[:k], choices.patience)
    return values


def _valid(record: Record, threshold: float | None) -> list[bool]:
    if threshold is not None and record.quality is not None:
        return [quality >= threshold for quality in record.quality]
    return record.correct or [True] * len(record.texts)


def _wording(texts: Sequence[str], choices: Choices) -> dict[str, float]:
    return {
        **{f"distinct-{size}": wording.distinct_n(texts, size) for size in NGRAMS},
        "ead": wording.expectation_adjusted_distinct(texts, choices.vocabulary),
        "self_bleu": wording.self_bleu(texts),
        "ngram_novelty": wording.ngram_novelty(texts),
    }
