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


def effective_diversity_fixed(valid: Sequence[int], n: int) -> float:
    """Effective semantic diversity, fixed form: classes among the valid rollouts, over all n.

    `valid`: the partition of the valid rollouts alone. Source: arXiv 2504.12522, where those are
    valid that meet the quality threshold.
    """
    return len(set(valid)) / n


def effective_diversity_pairwise(valid: Sequence[int], n: int) -> float:
    """Effective semantic diversity, pairwise form: the share of all pairs that are both valid and
    of different classes (arXiv 2504.12522). NaN for n = 1.

    `valid`: the partition of the valid rollouts alone, of n.
    """
    if n < 2:
        return math.nan
    same = sum(math.comb(size, 2) for size in Counter(valid).values())
    return (math.comb(len(valid), 2) - same) / math.comb(n, 2)
