"""A group's advantages, by the estimator that a request chooses, and what it adds to them."""

from collections.abc import Sequence

from darling_models.protocol import IntArray

from darling_service.rewards.advantages import Estimator, advantages
from darling_service.rewards.exact import BoolArray, FloatArray
from darling_service.rewards.pass_at_k import (
    Attempts,
    pass_at_k_advantages,
    pkpo_advantages,
    signed_advantages,
)
from darling_service.rewards.rarity import batch_exploration, uniqueness_weighted, visit_exploration
from darling_service.rewards.vector_policy import vector_advantages
from darling_service.schemas.reward_options import RewardOptions

BASELINE = 0.5


def estimate(
    rewards: FloatArray,
    options: RewardOptions,
    partition: IntArray,
    *,
    correct: BoolArray | None,
    outcomes: Sequence[str] | None,
    visits: IntArray | None,
) -> FloatArray | None:
    """Advantages of one group, shape (n,), or None if none are wanted."""
    if options.advantage is None:
        return None
    found = _plain(options.advantage, rewards, options, correct)
    if options.uniqueness is not None:
        positive = options.uniqueness_of == "positive"
        found = uniqueness_weighted(found, partition, options.uniqueness, positive)
    if options.exploration == "batch":
        assert outcomes is not None, "read_group gives them for this exploration"
        found = found + options.exploration_weight * batch_exploration(outcomes)
    if options.exploration == "visits":
        assert visits is not None, "the pipeline counts them for this exploration"
        baseline = options.exploration_baseline
        bonus = visit_exploration(visits, BASELINE if baseline is None else baseline)
        found = found + options.exploration_weight * bonus
    return found


def _plain(
    wanted: Estimator | Attempts,
    rewards: FloatArray,
    options: RewardOptions,
    correct: BoolArray | None,
) -> FloatArray:
    match wanted:
        case "pass_at_k":
            assert correct is not None
            assert options.k is not None
            return pass_at_k_advantages(correct, options.k)
        case "pkpo":
            assert options.k is not None
            return pkpo_advantages(rewards, options.k)
        case "psr" | "nsr" | "w_reinforce":
            assert correct is not None
            positive = {"psr": 1.0, "nsr": 0.0}.get(wanted, options.positive_weight)
            return signed_advantages(correct, positive, 0.0 if wanted == "psr" else 1.0)
        case "vpo":
            return vector_advantages(rewards)
        case estimator:
            return advantages(rewards, estimator)
