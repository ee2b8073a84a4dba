"""One group's rewards: what the request says of it and how it was judged, into its answer."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from darling_models.protocol import IntArray

from darling_service.rewards.diversity import (
    Measure,
    ngram_diversity,
    pairwise_diversity,
    partition_diversity,
    unlikelihood_diversity,
)
from darling_service.rewards.embedding_space import evol_novelty, evol_rewards, volume_diversity
from darling_service.rewards.exact import BoolArray, FloatArray
from darling_service.rewards.objectives import Shaping, rewards
from darling_service.rewards.preference import preference_pair
from darling_service.rewards.rarity import gapo_rewards, majority, unlikeliness_rewards
from darling_service.rewards.vector_policy import vector_rewards
from darling_service.schemas.requests import Group
from darling_service.schemas.responses import PreferredGroup, RewardedGroup
from darling_service.schemas.reward_options import RewardOptions
from darling_service.scoring import inputs
from darling_service.scoring.advantages import estimate
from darling_service.scoring.partitioning import JudgedGroup


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """A group's numbers, checked before any model runs; arrays of shape (n,).

    What the options do not ask for may be None.
    """

    id: str | int | None
    prompt: str
    texts: list[str]
    quality: FloatArray | None
    among: BoolArray
    logprobs: FloatArray | None = None
    correct: BoolArray | None = None
    answers: list[str] | None = None
    solutions: list[FloatArray] | None = None


def read_group(group: Group, options: RewardOptions, complete: bool = True) -> GroupInputs:
    """Raises `Invalid` naming what the options need and the group does not give.

    `complete`: whether these are all of its rollouts.
    """
    quality = inputs.quality_of(group, required=options.needs_quality)
    if options.negative == "refuse" and quality is not None:
        inputs.refuse_negative(quality, group.quality is not None)
    if complete and options.k is not None:
        inputs.require_tries(group, options.k)
    by_likelihood = options.diversity == "unlikelihood" or options.objective == "unlikeliness"
    by_answer = options.needs_outcomes and options.outcome == "answer"
    return GroupInputs(
        id=group.id,
        prompt=group.prompt_text(),
        texts=group.texts(),
        quality=quality,
        among=inputs.members_of(group, quality, options),
        logprobs=inputs.logprobs_of(group) if by_likelihood else None,
        correct=inputs.verdicts_of(group, quality) if options.needs_correctness else None,
        answers=inputs.answers_of(group, required=complete) if by_answer else None,
        solutions=inputs.solutions_of(group) if options.objective == "vector" else None,
    )


def reward_group(
    group: GroupInputs,
    judged: JudgedGroup,
    options: RewardOptions,
    with_probabilities: bool,
    visits: IntArray | None = None,
) -> RewardedGroup:
    """`visits`: how often each rollout's outcome came up before, where exploration asks for it."""
    value, shaped = _rewards(group, judged, options)
    outcomes = _outcomes(group, judged) if options.needs_outcomes else None
    estimated = estimate(
        value, options, judged.partition, correct=group.correct, outcomes=outcomes, visits=visits
    )
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


def prefer(
    group: GroupInputs,
    judged: JudgedGroup,
    measure: Measure,
    share: float,
    with_probabilities: bool,
) -> PreferredGroup:
    """DivPO's pair of the group; see `preference_pair`."""
    assert group.quality is not None, "read_group requires it"
    distinct = distinctness(group, judged, measure)
    chosen, rejected = preference_pair(group.quality, distinct, share) or (None, None)
    return PreferredGroup(
        id=group.id,
        partition=judged.partition.tolist(),
        num_classes=judged.num_classes,
        diversity=distinct.tolist(),
        chosen=chosen,
        rejected=rejected,
        probabilities=judged.probabilities.tolist() if with_probabilities else None,
    )


def _rewards(
    group: GroupInputs, judged: JudgedGroup, options: RewardOptions
) -> tuple[FloatArray, FloatArray]:
    """(rewards, diversity): the one that entered them, or that was asked for beside them."""
    quality = np.zeros(len(group.texts)) if group.quality is None else group.quality
    diversity = distinctness(group, judged, options.diversity, options.soft)
    match options.objective:
        case "unlikeliness":
            assert group.logprobs is not None, "read_group gives them for this objective"
            return unlikeliness_rewards(quality, group.logprobs, options.rank_weight), diversity
        case "vector":
            assert group.solutions is not None, "read_group gives them for this objective"
            return vector_rewards(group.solutions, group.prompt, options.seed), diversity
        case "gapo":
            assert group.correct is not None, "read_group gives it for this objective"
            assert options.support is not None, "the request was refused without it"
            return gapo_rewards(_outcomes(group, judged), group.correct, options.support), diversity
        case "evol":
            assert judged.cosines is not None, "the rule asks for them"
            outcomes = _outcomes(group, judged)
            valid = np.asarray([outcome != "" for outcome in outcomes], dtype=np.bool_)
            agree = majority(outcomes, valid)
            novelty = np.zeros(len(outcomes))
            novelty[valid] = evol_novelty(
                judged.cosines[np.ix_(valid, valid)], agree[valid].tolist()
            )
            return evol_rewards(novelty, agree, valid), novelty
        case product:
            shaping = Shaping(
                objective=product,
                floor=options.floor,
                exponent=options.exponent,
                quality_weight=options.weights.quality,
                diversity_weight=options.weights.diversity,
                normalize=options.normalize == "zscore",
                negative="as_published" if options.negative == "refuse" else options.negative,
            )
            return rewards(quality, diversity, group.among, shaping)


def distinctness(
    group: GroupInputs,
    judged: JudgedGroup,
    measure: Literal[Measure, "volume"],
    soft: bool = False,
) -> FloatArray:
    """How distinct each rollout is by one of the measures, shape (n,)."""
    match measure:
        case "partition":
            return partition_diversity(judged.partition, group.among)
        case "pairwise":
            likeness = judged.probabilities if soft else judged.equivalent.astype(np.float64)
            return pairwise_diversity(likeness, group.among)
        case "ngram":
            return ngram_diversity(group.texts, among=group.among)
        case "unlikelihood":
            assert group.logprobs is not None, "read_group gives them for this diversity"
            return unlikelihood_diversity(group.logprobs, group.among)
        case "volume":
            assert judged.cosines is not None, "the rule asks for them"
            return volume_diversity(judged.cosines, group.among, group.texts)


def _outcomes(group: GroupInputs, judged: JudgedGroup) -> list[str]:
    """What each rollout came to: its answer, or the class of its text."""
    if group.answers is not None:
        return group.answers
    # Named by content: numbers follow the order of the rollouts, which is to decide nothing.
    classes: dict[int, str] = {}
    for number, text in zip(judged.partition.tolist(), group.texts, strict=True):
        classes[number] = min(text, classes.get(number, text))
    return [f"like {classes[number]}" for number in judged.partition.tolist()]
