"""Advantages for pass@k: credit for what a rollout adds to a set of k tries.

They exist only as advantages. Centred again, or divided by a group's deviation, they become others.
"""

import math

import numpy as np

from darling_service.rewards.exact import BoolArray, FloatArray

POSITIVE_WEIGHT = 0.1
"""W-REINFORCE's published advantage of a correct rollout."""


def pass_at_k_advantages(correct: BoolArray, *, k: int) -> FloatArray:
    """Pass@k training in closed form (arXiv 2508.10751). Shape (n,); sums to 0.

    With c of n correct, R = 1 - C(n-c, k) / C(n, k) and s = sqrt(R (1 - R)):
    (1 - R) / s for a correct rollout, (1 - R - C(n-c-1, k-1) / C(n-1, k-1)) / s for a wrong one.
    0 for all when s = 0: every set of k holds a correct one, or none does. Raises `ValueError` if
    k > n.
    """
    n, c = len(correct), int(np.count_nonzero(correct))
    check_tries(n, k)
    fails = math.comb(n - c, k) / math.comb(n, k)
    spread = math.sqrt((1.0 - fails) * fails)
    if spread == 0.0:
        return np.zeros(n)
    among = math.comb(n - c - 1, k - 1) / math.comb(n - 1, k - 1)
    return np.where(correct, fails / spread, (fails - among) / spread)


def pkpo_advantages(rewards: FloatArray, *, k: int) -> FloatArray:
    """PKPO: a rollout's mean marginal to the best of k (arXiv 2505.15201, eq. 33). Shape (n,).

    s_i = 1 / C(n, k) * sum over sets I of k that hold i of (max of I - max of I without i). Any
    real values; for k = 1 the maximum of nothing is 0. Raises `ValueError` if k > n.
    """
    n = len(rewards)
    check_tries(n, k)
    sets = math.comb(n, k)
    if k == 1:
        return rewards / n
    ascending = np.sort(rewards)
    marginals = np.empty(n)
    for i, value in enumerate(rewards.tolist()):
        # With i at the top of a set, the second is the j-th smallest in C(j, k - 2) sets; where
        # values tie, the marginal is 0 whichever stands on top.
        below = ascending[: np.searchsorted(ascending, value)]
        marginals[i] = math.fsum(
            math.comb(j, k - 2) / sets * (value - other) for j, other in enumerate(below.tolist())
        )
    return marginals


def psr(correct: BoolArray) -> FloatArray:
    """1 for correct rollouts, 0 for wrong ones, no baseline (arXiv 2506.01347). Shape (n,)."""
    return _signed(correct, 1.0, 0.0)


def nsr(correct: BoolArray) -> FloatArray:
    """0 for correct rollouts, -1 for wrong ones: learning from mistakes alone. Shape (n,)."""
    return _signed(correct, 0.0, 1.0)


def w_reinforce(correct: BoolArray, *, positive_weight: float = POSITIVE_WEIGHT) -> FloatArray:
    """`positive_weight` for correct rollouts, -1 for wrong ones: learning mostly from mistakes.

    Shape (n,).
    """
    return _signed(correct, positive_weight, 1.0)


def _signed(correct: BoolArray, positive: float, negative: float) -> FloatArray:
    return np.where(correct, positive, -negative)


def check_tries(n: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"k = {k}, but the group has {n} rollouts; choose k from 1 to {n}")
