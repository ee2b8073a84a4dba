"""Differences of rounding are no signal: what a few units in the last place may change."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_service.rewards.advantages import grpo, maxrl
from darling_service.rewards.diversity import unlikelihood_diversity
from darling_service.rewards.embedding_space import evol_novelty
from darling_service.rewards.exact import FloatArray
from darling_service.rewards.preference import preference_pair
from darling_service.rewards.quality import zscore
from darling_service.rewards.rarity import unlikeliness_rewards
from darling_service.rewards.registry import ADVANTAGES, DIVERSITIES, OBJECTIVES
from darling_service.rewards.rounding import is_flat, levels, same
from darling_service.rewards.shaping import add, shape_diversity
from darling_service.rewards.vector_policy import vector_advantages

SAME = {
    "a sum": [0.1 + 0.2, 0.3, 0.3, 0.3],
    "a product": [1.1 * 3, 3.3, 3.3],
    "what cancels": [0.1 + 0.2 - 0.3, 0.0, 0.0],
    "signs of what cancels": [0.3 - 0.1 - 0.2, 0.1 + 0.2 - 0.3, 0.0],
    "thirds": [1 / 3, 1 - 2 / 3, 2 / 6],
    "float32": [float(np.float32(0.7)), float(np.float32(0.1) * np.float32(7)), 0.7],
    "big": [1e16, 1e16 + 2, 1e16 - 2],
    "the biggest": [1e30, math.nextafter(1e30, 0), 1e30],
    "negative": [-2.7, -0.9 * 3, -(0.9 + 0.9 + 0.9)],
    "a thousand terms": [sum([0.001] * 1000), 1.0, math.fsum([0.001] * 1000)],
}
"""Groups whose values are equal in exact arithmetic."""

FLAT: dict[str, Callable[[FloatArray], FloatArray]] = {
    "zscore": zscore,
    "grpo": grpo,
    "vpo": vector_advantages,
    "additive": lambda q: add(q, np.zeros(len(q)), normalize=True),
    "unlikelihood": unlikelihood_diversity,
    "evol": lambda q: evol_novelty(_kernel(q), ["a"] * len(q)),
    "maxrl": maxrl,
    "unlikeliness": lambda logprobs: unlikeliness_rewards(np.ones(len(logprobs)), logprobs),
}
"""Functions that divide by a spread, or rank."""


def _kernel(values: FloatArray) -> FloatArray:
    """Cosines that differ by what the values differ by, around 0.5."""
    offsets = (values - values[0]) / max(1.0, float(np.abs(values).max()))
    kernel: FloatArray = 0.5 + (offsets[:, None] + offsets[None, :]) / 2
    np.fill_diagonal(kernel, 1.0)
    return kernel


@pytest.mark.parametrize("function", FLAT.values(), ids=FLAT)
@pytest.mark.parametrize("values", SAME.values(), ids=SAME)
def test_what_differs_by_rounding_only_is_equal(
    values: list[float], function: Callable[[FloatArray], FloatArray]
) -> None:
    equal = function(np.full(len(values), values[0]))
    assert set(equal.tolist()) <= {equal[0]}
    np.testing.assert_array_equal(function(np.asarray(values)), equal)


@pytest.mark.parametrize("values", SAME.values(), ids=SAME)
def test_no_pair_is_preferred_for_its_rounding(values: list[float]) -> None:
    quality = np.asarray(values)
    assert preference_pair(quality, np.arange(len(values), dtype=float), 0.2) is None
    # Of rollouts as distinct as each other the better is chosen, then the first.
    assert preference_pair(np.asarray([0.0, 0.9, 1.0, 1.0]), np.asarray([0.3, 0.1 + 0.2, 0.3, 0.3]),
                           0.2) == (2, 0)  # fmt: skip


ulps = st.integers(-4, 4)


def nudged(value: float, steps: int) -> float:
    return value + steps * float(np.spacing(value))


@st.composite
def groups(draw: st.DrawFn) -> tuple[FloatArray, FloatArray]:
    """A group with many ties, and the same values some units in the last place away."""
    # No two values are just about as far apart as the rule's bound, where any rule must break.
    scale = draw(st.sampled_from([0.003, 1.0, 1e4, 1e12, 5e29]))
    tenths = st.integers(-20, 20).map(lambda k: k / 10)
    fine = st.integers(-20_000, 20_000).map(lambda k: k / 10_000)
    values = [v * scale for v in draw(st.lists(tenths | fine, min_size=1, max_size=9))]
    return np.asarray(values), np.asarray([nudged(value, draw(ulps)) for value in values])


class Options:
    """The options that terms read, at their defaults."""

    negative, normalize, rank_weight, seed = "sign_aware", "zscore", 0.25, 0
    support, k, positive_weight, soft, wrong_ratio = 3, 1, 0.1, False, 1.0

    class weights:  # noqa: N801
        quality = diversity = 1.0


def columns(quality: FloatArray, logprobs: FloatArray) -> dict[str, Any]:
    n = len(quality)
    return {
        "texts": [f"text {i}" for i in range(n)],
        "cosines": np.full((n, n), 0.5),
        "partition": np.arange(n) // 2,
        "quality": quality,
        "logprobs": logprobs,
        "rewards": quality,
        "diversity": unlikelihood_diversity(logprobs),
        "among": np.ones(n, dtype=np.bool_),
    }


TERMS = {
    **{
        f"objective {name}": OBJECTIVES[name]
        for name in ("darling", "additive", "unlikeliness", "mmr")
    },
    **{f"advantage {name}": ADVANTAGES[name] for name in ("centered", "grpo", "rloo", "pkpo")},
    "advantage poly_epo": ADVANTAGES["poly_epo"],
    **{"advantage vpo": ADVANTAGES["vpo"], "diversity": DIVERSITIES["unlikelihood"]},
}


@pytest.mark.parametrize("name", TERMS)
@given(groups(), groups())
def test_a_few_ulps_change_nothing_that_counts(
    name: str, one: tuple[FloatArray, FloatArray], two: tuple[FloatArray, FloatArray]
) -> None:
    n = min(len(one[0]), len(two[0]))
    plain, moved = (
        TERMS[name](columns(quality[:n], logprobs[:n]), Options)
        for quality, logprobs in zip(one, two, strict=True)
    )
    scale = max(1.0, float(np.abs(one[0]).max()))
    np.testing.assert_allclose(moved, plain, rtol=0, atol=1e-6 * scale)


@given(groups(), st.randoms(use_true_random=False))
def test_levels_and_flatness_do_not_depend_on_order(
    group: tuple[FloatArray, FloatArray], random: Any
) -> None:
    values = group[1]
    order = list(range(len(values)))
    random.shuffle(order)
    np.testing.assert_array_equal(levels(values[order]), levels(values)[order])
    assert is_flat(values[order]) == is_flat(values)
    assert is_flat(values) == bool(same(values.max(), values.min()))


@given(groups())
def test_levels_follow_the_values_and_ignore_rounding(group: tuple[FloatArray, FloatArray]) -> None:
    plain, moved = group
    ranks = levels(plain)
    np.testing.assert_array_equal(levels(moved), ranks)
    order = np.argsort(plain)
    assert ranks[order[0]] == 0
    for low, high in pairwise(order.tolist()):
        assert ranks[high] - ranks[low] == int(not same(plain[low], plain[high]))


def test_a_small_power_makes_no_diversity_of_rounding() -> None:
    noise = np.asarray([0.0, 1e-17, 2.2e-16, 1e-7, 0.25, 1.0 - 1e-16])
    shaped = shape_diversity(noise, exponent=0.1)
    assert shaped[:4].tolist() == [0.0] * 4
    np.testing.assert_allclose(shaped[4:], [0.25**0.1, 1.0], rtol=1e-12)


def post(http: httpx.Client, quality: Sequence[float], **reward: Any) -> Any:
    group = {"prompt": "p", "rollouts": [f"text {k}" for k in range(len(quality))]}
    request = {"groups": [group | {"quality": list(quality)}], "model": "exact", "reward": reward}
    answer = http.post("/v1/rewards", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()["groups"][0]


@pytest.mark.parametrize("values", SAME.values(), ids=SAME)
@pytest.mark.parametrize("advantage", ["grpo", "centered"])
def test_over_http(http: httpx.Client, values: list[float], advantage: str) -> None:
    answer = post(http, values, objective="additive", normalize="zscore", advantage=advantage)
    assert answer["rewards"] == answer["advantages"] == [0.0] * len(values)
    assert answer["quality"] == values, "as it was sent"


def test_a_bound_is_met_up_to_rounding(http: httpx.Client) -> None:
    """1 - 0.9 is 0.09999999999999998; both rollouts are as good as min_quality asks."""
    answer = post(http, [1 - 0.9, 0.1, 0.05], among="quality", min_quality=0.1)
    assert answer["diversity"] == [1, 1, 0]
    answer = post(http, [0.1 + 0.2 - 0.3, 0.3 - 0.2 - 0.1, 1.0], negative="refuse")
    assert answer["rewards"] == pytest.approx([0, 0, 1])
    answer = post(http, [0.1 * 3 + 0.7, 0.1 + 0.2 - 0.3], objective="quality", advantage="nsr")
    assert answer["advantages"] == [0, -1], "verdicts of 1 and 0"
