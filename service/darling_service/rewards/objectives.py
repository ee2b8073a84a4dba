"""DARLING's objectives: quality and diversity into one reward, together or alone.

`diversity` (n,) is shaped already: max(d ** exponent, floor), and 0 for rollouts outside `among`.
"""

from typing import Literal, Protocol

import numpy as np

from darling_service.rewards.exact import BoolArray, FloatArray
from darling_service.rewards.shaping import Negative, add, multiply


class Weights(Protocol):
    @property
    def quality(self) -> float: ...

    @property
    def diversity(self) -> float: ...


def darling(
    quality: FloatArray,
    diversity: FloatArray,
    among: BoolArray,
    *,
    negative: Negative | Literal["refuse"],
) -> FloatArray:
    """r * d (arXiv 2509.02534, equation 5); r for rollouts outside `among`. Shape (n,).

    `negative`: the policy for negative quality, see `multiply`; `refuse` lets none come here.
    """
    # A multiplier of 1 is what keeps a quality as it is, under every sign policy.
    factor = np.where(among, diversity, 1.0)
    return multiply(quality, factor, "as_published" if negative == "refuse" else negative)


def additive(
    quality: FloatArray,
    diversity: FloatArray,
    *,
    weights: Weights,
    normalize: Literal["none", "zscore"],
) -> FloatArray:
    """w_r * r + w_d * d, the mix of DARLING's ablation; see `add`. Shape (n,)."""
    return add(quality, diversity, weights.quality, weights.diversity, normalize == "zscore")


def quality_alone(quality: FloatArray) -> FloatArray:
    """r: what a trainer without DARLING optimises. Shape (n,)."""
    return quality


def diversity_alone(diversity: FloatArray) -> FloatArray:
    """d: variety whatever the quality. Shape (n,)."""
    return diversity
