"""Advantage estimators over one group: what the policy gradient multiplies.

A term that is constant in a group vanishes under mean-centring, and a term added to the reward is
rescaled when a trainer divides by the standard deviation. A caller that takes advantages from here
must therefore use them as they are, without centring them again.
"""

from typing import Literal

from darling_service.rewards.exact import FloatArray, deviation, mean

Estimator = Literal["centered", "grpo", "rloo"]

GRPO_EPSILON = 1e-6  # verl's default


def advantages(rewards: FloatArray, estimator: Estimator) -> FloatArray:
    """Advantages of the rollouts of one group, shape (n,). A group of one gets 0.

    - `centered`: r - mean(r). DARLING's choice: the deviation is left out because dividing by it
      magnifies the noise of the reward model (arXiv 2509.02534).
    - `grpo`: (r - mean(r)) / (sample std + 1e-6) (arXiv 2402.03300).
    - `rloo`: r_i - mean of the others = n / (n - 1) * (r_i - mean(r)) (arXiv 2402.14740).
    """
    n = len(rewards)
    centered = rewards - mean(rewards)
    if estimator == "grpo":
        return centered / (deviation(rewards) + GRPO_EPSILON)
    if estimator == "rloo":
        return centered * (n / (n - 1)) if n > 1 else centered
    return centered
