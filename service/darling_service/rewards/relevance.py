"""MMR-GRPO: quality reweighted by maximal marginal relevance, the best first, then the unlike."""

import math
from collections.abc import Sequence

import numpy as np

from darling_service.rewards.exact import FloatArray, deviation, mean
from darling_service.rewards.rounding import is_flat, levels, same

TEMPERATURE = 2.0
"""The published factor of the relative deviation of quality."""
EPSILON = 1e-8
"""Added to the mean before dividing by it, as published."""


def mmr(quality: FloatArray, cosines: FloatArray, texts: Sequence[str]) -> FloatArray:
    """MMR-GRPO: quality less similarity to the rollouts picked before (arXiv 2601.09085).

    Rollouts are picked one by one: first the best, with score r, then the one whose score
    w r - (1 - w) max(0, greatest cosine to those picked) is highest, and it keeps that score. Here
    w = 2 s / (1 + 2 s) with s = population deviation of r / |mean(r)|. The scores are then shifted
    and scaled to the mean and the deviation of r. Shape (n,); r itself where all r are equal.

    Of equal scores, up to rounding, the first text by alphabet is picked, and copies of one quality
    share the mean of their scores, so that the order of the rollouts decides nothing. The published
    code also smooths w over the steps of a run, and picks among all groups of a batch; here each
    group stands by itself.
    """
    n = len(quality)
    if is_flat(quality):
        return quality
    order = sorted(range(n), key=lambda i: (texts[i], float(quality[i])))
    own, level = quality[order], levels(quality)[order]
    centre, spread = mean(own), _population_deviation(own)
    scores = _picked(own, np.clip(cosines[np.ix_(order, order)], 0.0, 1.0), _weight(centre, spread))
    copies: dict[tuple[str, int], list[int]] = {}
    for place, i in enumerate(order):
        copies.setdefault((texts[i], int(level[place])), []).append(place)
    for places in copies.values():
        scores[places] = mean(scores[places])
    rewards = np.full(n, centre)
    if not is_flat(scores):
        rewards[order] += (scores - mean(scores)) * (spread / _population_deviation(scores))
    return rewards


def _picked(quality: FloatArray, similarity: FloatArray, weight: float) -> FloatArray:
    """The score with which each rollout is picked, shape (n,)."""
    scores = np.empty(len(quality))
    left = np.ones(len(quality), dtype=np.bool_)
    nearest = np.zeros(len(quality))
    current = quality
    while left.any():
        pick = int(np.flatnonzero(left & same(current, float(current[left].max())))[0])
        scores[pick], left[pick] = current[pick], False
        nearest = np.maximum(nearest, similarity[:, pick])
        current = weight * quality - (1.0 - weight) * nearest
    return scores


def _weight(centre: float, spread: float) -> float:
    """What quality weighs against similarity: more where it varies more."""
    relative = TEMPERATURE * spread / (abs(centre) + EPSILON)
    return relative / (1.0 + relative)


def _population_deviation(values: FloatArray) -> float:
    return deviation(values) * math.sqrt((len(values) - 1) / len(values))
