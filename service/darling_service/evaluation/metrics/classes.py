"""What a partition says of a group's variety, and of variety that is good as well."""

import math
from collections import Counter
from collections.abc import Sequence

PATIENCE = 0.8
"""NoveltyBench's: the chance that a user who has seen i answers asks for another."""


def distinct(partition: Sequence[int]) -> int:
    """Number of classes: NoveltyBench's distinct_k over k rollouts (arXiv 2504.05228).

    Its stored files hold this number minus one, because `partition.py` wrote max(partition).
    """
    return len(set(partition))


def first_of_class(partition: Sequence[int]) -> list[bool]:
    """Whether each rollout opens a class that none before it is in."""
    return [c not in partition[:i] for i, c in enumerate(partition)]


def utility(scores: Sequence[float], patience: float = PATIENCE) -> float:
    """NoveltyBench's utility_k of k generation scores, in order (arXiv 2504.05228).

    sum p^(i-1) u_i / sum p^(i-1); u_i is a rollout's quality if it opens a class, else 0.
    """
    weights = [patience**i for i in range(len(scores))]
    return math.fsum(w * u for w, u in zip(weights, scores, strict=True)) / math.fsum(weights)


def generation_scores(quality: Sequence[float], partition: Sequence[int]) -> list[float]:
    """Quality where a rollout opens a class, 0 where it repeats one."""
    opens = first_of_class(partition)
    return [q if new else 0.0 for q, new in zip(quality, opens, strict=True)]


def class_entropy(partition: Sequence[int]) -> float:
    """- sum p log p of the class shares, in nats."""
    n = len(partition)
    return -math.fsum(s / n * math.log(s / n) for s in Counter(partition).values())


def effective_classes(partition: Sequence[int]) -> float:
    """exp(entropy): classes of even size that would be as varied."""
    return math.exp(class_entropy(partition))


def simpson(partition: Sequence[int]) -> float:
    """1 - sum p^2: the chance that two draws with replacement are of different classes."""
    n = len(partition)
    return 1.0 - math.fsum((s / n) ** 2 for s in Counter(partition).values())


def effective_diversity_fixed(partition: Sequence[int], valid: Sequence[bool]) -> float:
    """Effective semantic diversity, fixed form: classes among the valid rollouts, over n.

    Source: arXiv 2504.12522; `valid` are those that meet the quality threshold.
    """
    good = {c for c, ok in zip(partition, valid, strict=True) if ok}
    return len(good) / len(partition)


def effective_diversity_pairwise(partition: Sequence[int], valid: Sequence[bool]) -> float:
    """Effective semantic diversity, pairwise form: the share of all pairs that are both valid and
    of different classes (arXiv 2504.12522). NaN for a single rollout."""
    n = len(partition)
    if n < 2:
        return math.nan
    sizes = Counter(c for c, ok in zip(partition, valid, strict=True) if ok)
    good = sum(sizes.values())
    same = sum(math.comb(s, 2) for s in sizes.values())
    return (math.comb(good, 2) - same) / math.comb(n, 2)
