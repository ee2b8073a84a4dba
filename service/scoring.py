"""One group's rewards: what the request says of it and how it was judged, into its answer."""

from dataclasses import dataclass

import numpy as np

from service import inputs
from service.answers import RewardedGroup
from service.judging import JudgedGroup
from service.rewards.advantages import advantages
from service.rewards.diversity import (
    ngram_diversity,
    pairwise_diversity,
    partition_diversity,
    unlikelihood_diversity,
)
from service.rewards.exact import BoolArray, FloatArray
from service.rewards.objective import Shaping, rewards
from service.schemas import Group, RewardOptions


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """A group's numbers, checked before any model runs; arrays of shape (n,)."""

    id: str | int | None
    texts: list[str]
    quality: FloatArray | None
    among: BoolArray
    logprobs: FloatArray | None


def read_group(group: Group, options: RewardOptions) -> GroupInputs:
    """Raises `Invalid` naming what the options need and the group does not give."""
    quality = inputs.quality_of(group, required=options.objective != "diversity")
    if options.negative == "refuse" and quality is not None:
        inputs.refuse_negative(quality)
    return GroupInputs(
        id=group.id,
        texts=group.texts(),
        quality=quality,
        among=inputs.members_of(group, quality, options),
        logprobs=inputs.logprobs_of(group) if options.diversity == "unlikelihood" else None,
    )


def reward_group(
    group: GroupInputs, judged: JudgedGroup, options: RewardOptions, with_probabilities: bool
) -> RewardedGroup:
    shaping = Shaping(
        objective=options.objective,
        floor=options.floor,
        exponent=options.exponent,
        quality_weight=options.weights.quality,
        diversity_weight=options.weights.diversity,
        normalize=options.normalize == "zscore",
        negative="as_published" if options.negative == "refuse" else options.negative,
    )
    quality = np.zeros(len(group.texts)) if group.quality is None else group.quality
    diversity = _diversity(group, judged, options)
    value, shaped = rewards(quality, diversity, group.among, shaping)
    estimated = advantages(value, options.advantage) if options.advantage else None
    return RewardedGroup(
        id=group.id,
        partition=judged.partition.tolist(),
        num_classes=judged.num_classes,
        diversity=shaped.tolist(),
        quality=None if group.quality is None else group.quality.tolist(),
        rewards=value.tolist(),
        advantages=None if estimated is None else estimated.tolist(),
        probabilities=judged.probabilities.tolist() if with_probabilities else None,
    )


def _diversity(group: GroupInputs, judged: JudgedGroup, options: RewardOptions) -> FloatArray:
    match options.diversity:
        case "partition":
            return partition_diversity(judged.partition, group.among)
        case "pairwise":
            soft = judged.probabilities if options.soft else judged.equivalent.astype(np.float64)
            return pairwise_diversity(soft, group.among)
        case "ngram":
            return ngram_diversity(group.texts, among=group.among)
        case "unlikelihood":
            assert group.logprobs is not None, "read_group gives them for this diversity"
            return unlikelihood_diversity(group.logprobs, group.among)
