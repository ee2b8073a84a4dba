"""The invariants of the design as properties, over random groups."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from darling_models.partitions.linkage import LINKAGES, number_by_first_occurrence, partition
from darling_models.protocol import Linkage
from darling_service.rewards.advantages import centered, grpo, rloo
from darling_service.rewards.diversity import (
    ngram_diversity,
    pairwise_diversity,
    partition_diversity,
    unlikelihood_diversity,
)
from darling_service.rewards.exact import FloatArray
from darling_service.rewards.registry import OBJECTIVES
from darling_service.rewards.shaping import multiply, shape_diversity
from darling_service.schemas.reward_options import RewardOptions

numbers = st.floats(-1e6, 1e6)
unit = st.floats(0, 1)
sizes = st.integers(1, 9)
ORDER_FREE: tuple[Linkage, ...] = ("single", "average", "complete")


@st.composite
def groups(draw: st.DrawFn) -> tuple[np.ndarray, FloatArray]:
    """(content labels, probabilities): some rollouts identical, many ties."""
    n = draw(sizes)
    content = np.asarray(draw(st.lists(st.integers(0, n), min_size=n, max_size=n)), dtype=np.int64)
    levels = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | unit
    distinct = draw(arrays.arrays(np.float64, (n + 1, n + 1), elements=levels))
    distinct = np.maximum(distinct, distinct.T)
    np.fill_diagonal(distinct, 1.0)
    return content, distinct[np.ix_(content, content)]


@given(groups(), unit, st.sampled_from(ORDER_FREE), st.randoms(use_true_random=False))
def test_partition_is_equivariant_under_permutation(
    group: tuple[np.ndarray, FloatArray], threshold: float, method: Linkage, random: object
) -> None:
    content, p = group
    order = np.arange(len(content))
    random.shuffle(order)  # type: ignore[attr-defined]
    before = partition(p, threshold, method, content)
    after = partition(p[np.ix_(order, order)], threshold, method, content[order])
    np.testing.assert_array_equal(after, number_by_first_occurrence(before[order]))


@given(groups(), unit, st.sampled_from(LINKAGES))
def test_identical_rollouts_share_a_class(
    group: tuple[np.ndarray, FloatArray], threshold: float, method: Linkage
) -> None:
    content, p = group
    labels = partition(p, threshold, method, content)
    for value in set(content.tolist()):
        assert len(set(labels[content == value].tolist())) == 1


@given(groups(), unit, st.sampled_from(LINKAGES))
def test_classes_are_numbered_by_first_occurrence(
    group: tuple[np.ndarray, FloatArray], threshold: float, method: Linkage
) -> None:
    labels = partition(group[1], threshold, method, group[0]).tolist()
    seen = list(dict.fromkeys(labels))
    assert seen == list(range(len(seen)))


@given(groups(), unit)
def test_complete_linkage_has_only_equivalent_pairs_in_a_class(
    group: tuple[np.ndarray, FloatArray], threshold: float
) -> None:
    content, p = group
    labels = partition(p, threshold, "complete", content)
    same = (labels[:, None] == labels[None, :]) & (content[:, None] != content[None, :])
    assert (p[same] >= threshold - 1e-12).all()


@given(groups(), unit)
def test_single_linkage_is_the_transitive_closure(
    group: tuple[np.ndarray, FloatArray], threshold: float
) -> None:
    content, p = group
    reach = (p > threshold) | (content[:, None] == content[None, :])
    for _ in range(len(content)):
        reach = reach | ((reach.astype(int) @ reach.astype(int)) > 0)
    labels = partition(p, threshold, "single", content)
    np.testing.assert_array_equal(labels[:, None] == labels[None, :], reach)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.sampled_from(LINKAGES))
def test_all_linkages_find_a_clean_partition(labels: list[int], method: Linkage) -> None:
    truth = number_by_first_occurrence(labels)
    p = (truth[:, None] == truth[None, :]).astype(np.float64) * 0.8 + 0.1
    np.testing.assert_array_equal(partition(p, 0.5, method), truth)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_partition_diversity_bounds_and_extremes(labels: list[int]) -> None:
    d = partition_diversity(np.asarray(labels))
    assert ((d >= 0) & (d <= 1)).all()
    if len(labels) > 1 and len(set(labels)) == 1:
        assert (d == 0).all()
    if len(set(labels)) == len(labels):
        assert (d == 1).all()


@given(groups())
def test_pairwise_diversity_is_bounded_and_order_free(
    group: tuple[np.ndarray, FloatArray],
) -> None:
    p = group[1]
    d = pairwise_diversity(p)
    assert ((d >= 0) & (d <= 1)).all()
    np.testing.assert_array_equal(pairwise_diversity(p[::-1, ::-1]), d[::-1])


@given(st.lists(st.text("ab ", max_size=12), min_size=1, max_size=6))
def test_ngram_diversity_is_bounded_and_order_free(texts: list[str]) -> None:
    d = ngram_diversity(texts, size=2)
    assert ((d >= 0) & (d <= 1)).all()
    np.testing.assert_array_equal(ngram_diversity(texts[::-1], size=2), d[::-1])


@given(st.lists(numbers, min_size=1, max_size=8))
def test_unlikelihood_diversity_is_bounded_and_order_free(logprobs: list[float]) -> None:
    l = np.asarray(logprobs)  # noqa: E741
    d = unlikelihood_diversity(l)
    assert ((d >= 0) & (d <= 1)).all()
    np.testing.assert_array_equal(unlikelihood_diversity(l[::-1]), d[::-1])


@given(numbers, unit, unit)
def test_more_distinct_is_never_worse(quality: float, d1: float, d2: float) -> None:
    low, high = sorted((d1, d2))
    q = np.asarray([quality])
    assert multiply(q, np.asarray([high]))[0] >= multiply(q, np.asarray([low]))[0]


@given(st.lists(st.tuples(numbers, unit, st.booleans()), min_size=1, max_size=8), st.data())
def test_rewards_are_finite_and_order_free(
    rollouts: list[tuple[float, float, bool]], data: st.DataObject
) -> None:
    quality, d, among = (np.asarray(column) for column in zip(*rollouts, strict=True))
    objective = data.draw(st.sampled_from(["darling", "additive", "quality", "diversity"]))
    options = RewardOptions()
    if objective == "additive":
        options = RewardOptions(objective=objective)
        if data.draw(st.booleans()):
            options = RewardOptions(objective=objective, normalize="zscore")
    elif objective == "darling":
        policies = ["sign_aware", "as_published", "shift_min"]
        options = RewardOptions(negative=data.draw(st.sampled_from(policies)))
    shaped = np.where(among, shape_diversity(d, data.draw(unit), data.draw(st.floats(0.1, 5))), 0)
    columns = {"quality": quality, "diversity": shaped, "among": among}
    forward = OBJECTIVES[objective](columns, options)
    reversed_columns = {name: column[::-1] for name, column in columns.items()}
    backward = OBJECTIVES[objective](reversed_columns, options)
    assert np.isfinite(forward).all()
    np.testing.assert_array_equal(backward, forward[::-1])


@given(st.lists(numbers, min_size=1, max_size=8), st.sampled_from([centered, grpo, rloo]))
def test_advantages_sum_to_zero_and_are_order_free(
    values: list[float], estimate: Callable[[FloatArray], FloatArray]
) -> None:
    r = np.asarray(values)
    a = estimate(r)
    assert math.fsum(a) == pytest.approx(0, abs=1e-9 * (1 + np.abs(a).max()) * len(r))
    np.testing.assert_array_equal(estimate(r[::-1]), a[::-1])
