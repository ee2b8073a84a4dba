"""One group's rewards: what the request says of it and how it was partitioned, into its answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darling_models.protocol import IntArray
from darling_service.rewards.exact import FloatArray
from darling_service.rewards.preference import preference_pair
from darling_service.rewards.registry import OBJECTIVES
from darling_service.rewards.shaping import shape_diversity
from darling_service.schemas.responses import PreferredGroup, RewardedGroup
from darling_service.schemas.reward_options import RewardOptions
from darling_service.scoring.advantages import advantages_of
from darling_service.scoring.partitioning import ClassifiedGroup
from darling_service.scoring.reading import GroupInputs

MATRICES = frozenset({"equivalent", "probabilities", "cosines"})
"""Columns of shape (n, n). They need an answer for every pair, also where it cannot change the
partition, and are made only where a request's options need them."""


def reward_group(
    group: GroupInputs,
    classified: ClassifiedGroup,
    options: RewardOptions,
    with_probabilities: bool,
    visits: IntArray | None = None,
) -> RewardedGroup:
    """`visits`: how often each rollout's outcome came up before, where exploration asks for it."""
    columns = _columns(group, classified, options) | {"visits": visits}
    diversity = columns["diversity"] = _diversity(columns, options)
    rewards = columns["rewards"] = OBJECTIVES[options.objective](columns, options)
    advantages = advantages_of(columns, options)
    quality: FloatArray | None = columns["quality"]
    return RewardedGroup(
        **classified.as_fields(with_probabilities),
        id=group.id,
        diversity=diversity.tolist(),
        quality=None if quality is None else quality.tolist(),
        rewards=rewards.tolist(),
        advantages=None if advantages is None else advantages.tolist(),
    )


def prefer(
    group: GroupInputs,
    classified: ClassifiedGroup,
    options: RewardOptions,
    share: float,
    with_probabilities: bool,
) -> PreferredGroup:
    """DivPO's pair of the group; see `preference_pair`."""
    columns = _columns(group, classified, options)
    diversity = _diversity(columns, options)
    chosen, rejected = preference_pair(columns["quality"], diversity, share) or (None, None)
    return PreferredGroup(
        **classified.as_fields(with_probabilities),
        id=group.id,
        diversity=diversity.tolist(),
        chosen=chosen,
        rejected=rejected,
    )


def _columns(
    group: GroupInputs, classified: ClassifiedGroup, options: RewardOptions
) -> dict[str, Any]:
    """What is known of the group, by the names under which terms ask for it."""
    partition, texts = classified.partition, classified.texts.texts
    columns = {
        "prompt": classified.texts.prompt_name,
        "texts": texts,
        "partition": partition,
        **{name: getattr(classified, name) for name in MATRICES & options.needs},
        "outcomes": _class_names(partition, texts),
        **group.columns,
    }
    if options.among != "all":
        columns["partition"] = classified.alone(columns["among"])
    if "correct_outcomes" in options.needs:
        columns["correct_outcomes"] = (
            _class_names(classified.alone(columns["correct"]), texts)
            if options.outcome == "class"
            else columns["outcomes"]
        )
    return columns


def _diversity(columns: Mapping[str, Any], options: RewardOptions) -> FloatArray:
    """The measured diversity, shaped unless it is the objective's own. Shape (n,)."""
    diversity = options.measure(columns, options)
    if OBJECTIVES[options.objective].own_diversity is not None:
        return diversity
    shaped = shape_diversity(diversity, options.floor, options.exponent)
    return np.where(columns["among"], shaped, 0.0)


def _class_names(partition: IntArray, texts: Sequence[str]) -> list[str]:
    """What each rollout came to where no answers say it: a name for the class of its text, "" for
    one without a class."""
    # Named by content: numbers follow the order of the rollouts, which is to decide nothing.
    names: dict[int, str] = {}
    for number, text in zip(partition.tolist(), texts, strict=True):
        names[number] = min(text, names.get(number, text))
    return ["" if number < 0 else f"like {names[number]}" for number in partition.tolist()]
