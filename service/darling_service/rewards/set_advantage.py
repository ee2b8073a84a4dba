"""Credit for what a rollout adds to the sets that it is in: Poly-EPO's advantage of sets."""

import math
from collections import Counter

import numpy as np

from darling_service.rewards.advantages import centered
from darling_service.rewards.exact import FloatArray, IntArray
from darling_service.rewards.pass_at_k import check_tries


def poly_epo(quality: FloatArray, partition: IntArray, *, k: int) -> FloatArray:
    """Poly-EPO: the mean of f over the sets of k that hold i, less its mean over all sets of k.

    f(G) = mean of r in G * (number of classes in G) / k (arXiv 2604.17654). Shape (n,); sums to 0.
    A rollout of class -1, which stands for those outside `among`, adds its quality to a set but no
    class, as the answers without a strategy do in the paper. Raises `ValueError` if k > n.

    The sets are not enumerated. Of those that hold i, a class of m rollouts other than i's is
    missed by the share C(n-1-m, k-1) / C(n-1, k-1), and missed while j is there too by
    C(n-2-m, k-2) / C(n-1, k-1). So the mean of k * k * f needs the classes' sizes alone.
    """
    n = len(quality)
    check_tries(n, k)
    labels = partition.tolist()
    sizes = Counter(label for label in labels if label >= 0)
    sets = math.comb(n - 1, k - 1)
    missed = {c: _choose(n - 1 - m, k - 1) / sets for c, m in sizes.items()}
    missed_beside = {c: _choose(n - 2 - m, k - 2) / sets for c, m in sizes.items()}
    any_missed, any_missed_beside = math.fsum(missed.values()), math.fsum(missed_beside.values())
    # How likely another rollout is in a set of i's.
    beside = (k - 1) / (n - 1) if n > 1 else 0.0
    total = math.fsum(quality)
    own_total = {c: math.fsum(quality[partition == c]) for c in sizes}
    lost = math.fsum(r * missed_beside.get(c, 0.0) for r, c in zip(quality, labels, strict=True))
    means = np.empty(n)
    for i, (r, c) in enumerate(zip(quality.tolist(), labels, strict=True)):
        own = missed_beside.get(c, 0.0)
        with_i = r * (len(sizes) - any_missed + missed.get(c, 0.0))
        others = (total - r) * (beside * len(sizes) - any_missed_beside + own)
        # A rollout of another class keeps that class from being missed.
        means[i] = (with_i + others + lost - own * own_total.get(c, 0.0)) / k**2
    return centered(means)


def _choose(n: int, k: int) -> int:
    """C(n, k), and 0 where there is nothing to choose from."""
    return math.comb(n, k) if n >= 0 and k >= 0 else 0
