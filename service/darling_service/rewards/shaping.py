"""Shaping: quality and diversity into one reward.

Source: DARLING (arXiv 2509.02534), equation 5, r = quality * Norm(diversity), and the additive mix
of its ablation. The published code's behaviour on negative quality is a choice here
(`Negative`), because a raw product pays duplicates when quality is below zero.
"""

from typing import Literal

import numpy as np

from darling_service.rewards.exact import FloatArray
from darling_service.rewards.quality import zscore
from darling_service.rewards.rounding import RESOLUTION

Negative = Literal["sign_aware", "as_published", "shift_min"]


def shape_diversity(diversity: FloatArray, floor: float = 0.0, exponent: float = 1.0) -> FloatArray:
    """max(d ** exponent, floor): the number that multiplies quality. Shape (n,), still in [0, 1].

    The published code has floor 0.1, which the paper does not mention.
    """
    # One by one: NumPy's vectorised power rounds differently by an element's place in memory. What
    # is 0 up to rounding is 0: a small power would make a whole diversity of it.
    powers = [float(d) ** exponent if d > RESOLUTION else 0.0 for d in diversity]
    return np.maximum(np.asarray(powers, dtype=np.float64), floor)


def multiply(
    quality: FloatArray, diversity: FloatArray, negative: Negative = "sign_aware"
) -> FloatArray:
    """The DARLING product. Shape (n,).

    - `sign_aware`: r * d for r >= 0 and r * (2 - d) for r < 0: continuous in r, and being more
      distinct is never worse.
    - `as_published`: r * d whatever the sign. With r = -2, duplicates beat the distinct one.
    - `shift_min`: (r - min(0, min r)) * d: the group's minimum is subtracted when it is negative.
    """
    if negative == "shift_min":
        quality = quality - min(0.0, float(quality.min()))
    if negative == "sign_aware":
        return quality * np.where(quality < 0, 2.0 - diversity, diversity)
    return quality * diversity


def add(
    quality: FloatArray,
    diversity: FloatArray,
    quality_weight: float = 1.0,
    diversity_weight: float = 1.0,
    normalize: bool = False,
) -> FloatArray:
    """w_r * r + w_d * d. Shape (n,). With `normalize`, both are group z-scores before the sum."""
    if normalize:
        quality, diversity = zscore(quality), zscore(diversity)
    return quality_weight * quality + diversity_weight * diversity
