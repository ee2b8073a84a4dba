"""A group's advantages, by the estimator that a request chooses, and what it adds to them."""

from collections.abc import Mapping
from typing import Any

from darling_service.rewards.advantages import focal_weight
from darling_service.rewards.exact import FloatArray
from darling_service.rewards.rarity import uniqueness_weighted
from darling_service.rewards.registry import ADVANTAGES, EXPLORATIONS
from darling_service.schemas.reward_options import RewardOptions


def advantages_of(columns: Mapping[str, Any], options: RewardOptions) -> FloatArray | None:
    """Advantages of one group, shape (n,), or None if none are wanted.

    `columns`: what is known of the group (`rewards.terms.COLUMNS`), its rewards among them.
    """
    if options.advantage is None:
        return None
    advantages = ADVANTAGES[options.advantage](columns, options)
    if options.focal is not None:
        advantages = focal_weight(columns["correct"], options.focal) * advantages
    if options.uniqueness is not None:
        positive = options.uniqueness_of == "positive"
        advantages = uniqueness_weighted(
            advantages, columns["partition"], options.uniqueness, positive
        )
    if options.exploration != "none":
        bonus = EXPLORATIONS[options.exploration](columns, options)
        advantages = advantages + options.exploration_weight * bonus
    return advantages
