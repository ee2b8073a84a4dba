"""Advantage estimators over one group: what the policy gradient multiplies.

A term that is constant in a group vanishes under mean-centring, and a term added to the reward is
rescaled when a trainer divides by the standard deviation. A caller that takes advantages from here
must therefore use them as they are, without centring them again. A group of one gets 0.
"""

import numpy as np

from darling_service.rewards.exact import BoolArray, FloatArray, deviation, mean
from darling_service.rewards.rounding import is_flat

GRPO_EPSILON = 1e-6
"""Added to the deviation before dividing by it: verl's default."""


def centered(rewards: FloatArray) -> FloatArray:
    """r - mean(r), shape (n,). DARLING's choice: dividing by the deviation magnifies the noise of
    the reward model (arXiv 2509.02534)."""
    return rewards - mean(rewards)


def grpo(rewards: FloatArray) -> FloatArray:
    """(r - mean(r)) / (sample standard deviation + 1e-6), shape (n,) (arXiv 2402.03300).

    All zeros where all r are equal, up to rounding.
    """
    if is_flat(rewards):
        return np.zeros_like(rewards)
    return centered(rewards) / (deviation(rewards) + GRPO_EPSILON)


def rloo(rewards: FloatArray) -> FloatArray:
    """r_i - mean of the others = n / (n - 1) * (r_i - mean(r)), shape (n,) (arXiv 2402.14740)."""
    n = len(rewards)
    return centered(rewards) * (n / (n - 1)) if n > 1 else centered(rewards)


def maxrl(rewards: FloatArray) -> FloatArray:
    """MaxRL: (r - mean(r)) / mean(r) (arXiv 2602.02710). Shape (n,); in [-1, n - 1], sums to 0.

    `rewards`: at least 0, since a mean below 0 would turn the signs round; what rounding has
    brought below counts as 0. All zeros where all r are equal, up to rounding; a group without any
    success is one of these.
    """
    rewards = np.maximum(rewards, 0.0)
    if is_flat(rewards):
        return np.zeros_like(rewards)
    return centered(rewards) / mean(rewards)


def focal_weight(correct: BoolArray, focal: float) -> float:
    """F-GRPO: (1 - share of correct rollouts) ** focal (arXiv 2602.06717), in [0, 1].

    One factor for all advantages of a group, so that their sum stays what it is. Groups in which
    most rollouts are right count for less, and those in which all are for nothing.
    """
    wrong = int(np.count_nonzero(~correct)) / len(correct)
    return float(wrong**focal)
