"""One group's rewards: the objectives, from quality and diversity to the shaped reward."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from darling_service.rewards.exact import BoolArray, FloatArray
from darling_service.rewards.shaping import Negative, add, multiply, shape_diversity

Product = Literal["darling", "additive", "quality", "diversity"]
Objective = Literal[Product, "unlikeliness", "gapo", "evol", "vector"]
"""The later ones make a reward of their own: `rarity`, `embedded` and `vectors`."""


@dataclass(frozen=True, slots=True)
class Shaping:
    """How quality and diversity become a reward; see `docs/objectives.md`."""

    objective: Product = "darling"
    floor: float = 0.0
    exponent: float = 1.0
    quality_weight: float = 1.0
    diversity_weight: float = 1.0
    normalize: bool = False
    negative: Negative = "sign_aware"


def rewards(
    quality: FloatArray, diversity: FloatArray, among: BoolArray, shaping: Shaping
) -> tuple[FloatArray, FloatArray]:
    """(rewards, the diversity that entered them), each of shape (n,).

    `among` marks the rollouts whose diversity counts; the others have diversity 0 and keep their
    quality. The objective `quality` does not look at diversity, and `diversity` not at quality.
    """
    shaped = np.where(among, shape_diversity(diversity, shaping.floor, shaping.exponent), 0.0)
    match shaping.objective:
        case "darling":
            # A multiplier of 1 is what keeps a quality as it is, under every sign policy.
            value = multiply(quality, np.where(among, shaped, 1.0), shaping.negative)
        case "additive":
            value = add(
                quality,
                shaped,
                shaping.quality_weight,
                shaping.diversity_weight,
                shaping.normalize,
            )
        case "quality":
            value = quality
        case "diversity":
            value = shaped
    return value, shaped
