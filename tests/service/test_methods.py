"""Methods of 2025 and 2026 beside DARLING: by hand, against brute force, and their bounds."""

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_service.rewards.advantages import centered, focal_weight, maxrl
from darling_service.rewards.diversity import class_share
from darling_service.rewards.embedding_space import (
    graph_cut_diversity,
    set_diversity_exploration,
)
from darling_service.rewards.exact import FloatArray
from darling_service.rewards.rarity import smoothing_exploration
from darling_service.rewards.relevance import mmr
from darling_service.rewards.set_advantage import poly_epo
from darling_service.schemas.reward_options import RewardOptions
from tests.cpu_time import TRIES, cpu_seconds

numbers = st.floats(-10, 10)
positive = st.floats(0, 10)
EVERYBODY = np.ones(9, dtype=np.bool_)


def cosines_of(vectors: list[list[float]]) -> FloatArray:
    rows = np.asarray(vectors, dtype=np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines: FloatArray = rows @ rows.T
    np.fill_diagonal(cosines, 1.0)
    return cosines


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    """A group's columns; some of its rollouts are copies."""
    n = draw(st.integers(1, 7))
    texts = draw(st.lists(st.sampled_from("abcde"), min_size=n, max_size=n))
    seed = draw(st.integers(0, 99))
    vectors = {t: np.random.default_rng((seed, ord(t))).normal(size=3).tolist() for t in "abcde"}
    return {
        "texts": texts,
        "quality": np.asarray(draw(st.lists(positive, min_size=n, max_size=n))),
        "correct": np.asarray(draw(st.lists(st.booleans(), min_size=n, max_size=n))),
        "logprobs": np.asarray(draw(st.lists(st.floats(-9, 0), min_size=n, max_size=n))),
        "partition": np.asarray([ord(t) // 2 for t in texts]),
        "cosines": cosines_of([vectors[t] for t in texts]),
        "k": draw(st.integers(1, n)),
    }


METHODS: dict[str, Callable[[dict[str, Any]], FloatArray]] = {
    "share": lambda g: class_share(g["partition"]),
    "graph_cut": lambda g: graph_cut_diversity(g["cosines"], EVERYBODY[: len(g["texts"])]),
    "maxrl": lambda g: maxrl(g["quality"]),
    "focal": lambda g: focal_weight(g["correct"], 0.5) * centered(g["quality"]),
    "poly_epo": lambda g: poly_epo(g["quality"], g["partition"], k=g["k"]),
    "smoothing": lambda g: smoothing_exploration(g["correct"], g["logprobs"], wrong_ratio=0.5),
    "set_diversity": lambda g: set_diversity_exploration(g["cosines"]),
    "mmr": lambda g: mmr(g["quality"], g["cosines"], g["texts"]),
}


@pytest.mark.parametrize("name", METHODS)
@given(groups(), st.randoms(use_true_random=False))
def test_permuting_rollouts_permutes_the_numbers(name: str, group: dict[str, Any], r: Any) -> None:
    order = list(range(len(group["texts"])))
    r.shuffle(order)
    moved: dict[str, Any] = {
        field: value[np.ix_(order, order)] if field == "cosines" else value[order]
        for field, value in group.items()
        if isinstance(value, np.ndarray)
    }
    moved |= {"texts": [group["texts"][i] for i in order], "k": group["k"]}
    numbers = METHODS[name](group)
    assert np.isfinite(numbers).all()
    np.testing.assert_array_equal(METHODS[name](moved), numbers[order])


@given(groups())
def test_copies_with_equal_columns_get_equal_numbers(group: dict[str, Any]) -> None:
    """A group made of one rollout twice, and the others."""
    for field in ("quality", "correct", "logprobs", "partition"):
        group[field] = np.append(group[field], group[field][0])
    group["texts"] = [*group["texts"], group["texts"][0]]
    index = [*range(len(group["texts"]) - 1), 0]
    group["cosines"] = group["cosines"][np.ix_(index, index)]
    for name, method in METHODS.items():
        numbers = method(group)
        assert numbers[-1] == pytest.approx(numbers[0], abs=1e-12), name


@pytest.mark.parametrize("name", ["maxrl", "poly_epo", "focal"])
@given(groups())
def test_what_sums_to_zero(name: str, group: dict[str, Any]) -> None:
    assert METHODS[name](group).sum() == pytest.approx(0, abs=1e-9)


@given(groups())
def test_bounds(group: dict[str, Any]) -> None:
    n = len(group["texts"])
    for name in ("share", "graph_cut"):
        diversity = METHODS[name](group)
        assert ((diversity >= 1 / n - 1e-12) & (diversity <= 1)).all(), name
    assert (maxrl(group["quality"]) >= -1).all()
    assert (maxrl(group["quality"]) <= n - 1 + 1e-9).all()
    assert 0 <= focal_weight(group["correct"], 0.5) <= 1
    # Without a rollout, g moves by log 2 for those it was like, and by nothing for the others.
    assert (np.abs(set_diversity_exploration(group["cosines"])) <= math.log(2) + 1e-12).all()
    rewards = METHODS["mmr"](group)
    assert rewards.mean() == pytest.approx(group["quality"].mean(), abs=1e-9)


def test_share_is_the_reward_over_the_size_of_the_class() -> None:
    assert class_share(np.asarray([0, 0, 1, 0])).tolist() == [1 / 3, 1 / 3, 1, 1 / 3]
    among = np.asarray([True, False, True, True])
    assert class_share(np.asarray([0, -1, 1, 0]), among).tolist() == [0.5, 0, 1, 0.5]


def test_graph_cut_by_hand() -> None:
    """Two copies and a stranger at 60 degrees: 1 / (1 + 1 + 0.5) twice, 1 / (1 + 0.5 + 0.5)."""
    cosines = np.asarray([[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    assert graph_cut_diversity(cosines, EVERYBODY[:3]).tolist() == pytest.approx([0.4, 0.4, 0.5])
    among = np.asarray([True, False, True])
    found = graph_cut_diversity(cosines, among)
    assert found.tolist() == pytest.approx([1 / 1.5, 0, 1 / 1.5])
    opposite = np.asarray([[1.0, -0.9], [-0.9, 1.0]])
    assert graph_cut_diversity(opposite, EVERYBODY[:2]).tolist() == [1, 1]


@given(groups())
def test_graph_cut_of_classes_is_their_share(group: dict[str, Any]) -> None:
    partition = group["partition"]
    cosines = (partition[:, None] == partition[None, :]).astype(np.float64)
    found = graph_cut_diversity(cosines, EVERYBODY[: len(partition)])
    np.testing.assert_allclose(found, class_share(partition), rtol=1e-15)


def test_maxrl_by_hand() -> None:
    """Mean 0.25: (1 - 0.25) / 0.25 for the success, -1 for the others."""
    assert maxrl(np.asarray([0.0, 1.0, 0.0, 0.0])).tolist() == [-1, 3, -1, -1]
    assert maxrl(np.asarray([0.5, 1.0])).tolist() == pytest.approx([-1 / 3, 1 / 3])
    for flat in ([0.0, 0.0], [1.0, 1.0], [0.1 + 0.2, 0.3], [0.7]):
        assert maxrl(np.asarray(flat)).tolist() == [0] * len(flat)


def test_focal_weight_by_hand() -> None:
    """One right of four: 0.75 ** 2; a group without a wrong one teaches nothing."""
    assert focal_weight(np.asarray([True, False, False, False]), 2.0) == 0.5625
    assert focal_weight(np.asarray([True, True]), 0.5) == 0
    assert focal_weight(np.asarray([False, False]), 0.5) == 1
    assert focal_weight(np.asarray([True, True]), 0.0) == 1, "a power of 0 changes nothing"


def set_advantages(quality: FloatArray, partition: list[int], k: int) -> list[float]:
    """Poly-EPO's advantages from every set of k."""
    scores = {
        chosen: math.fsum(quality[list(chosen)])
        / k
        * len({partition[i] for i in chosen if partition[i] >= 0})
        / k
        for chosen in combinations(range(len(quality)), k)
    }
    mean = math.fsum(scores.values()) / len(scores)
    own = [[f for chosen, f in scores.items() if i in chosen] for i in range(len(quality))]
    return [math.fsum(f) / len(f) - mean for f in own]


def test_poly_epo_by_hand() -> None:
    """Right, its copy, another right one, a wrong one; sets of two. f: 1/2, 1, 1/2, 1, 1/2, 1/2."""
    found = poly_epo(np.asarray([1.0, 1, 1, 0]), np.asarray([0, 0, 1, 2]), k=2)
    assert found.tolist() == pytest.approx([0, 0, 1 / 6, -1 / 6])
    assert poly_epo(np.asarray([3.0]), np.asarray([0]), k=1).tolist() == [0]


@given(st.lists(st.tuples(numbers, st.integers(-1, 4)), min_size=1, max_size=8), st.data())
def test_poly_epo_is_the_mean_over_sets(
    rollouts: list[tuple[float, int]], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(rollouts)))
    quality = np.asarray([value for value, _ in rollouts])
    partition = [label for _, label in rollouts]
    found = poly_epo(quality, np.asarray(partition), k=k)
    np.testing.assert_allclose(found, set_advantages(quality, partition, k), rtol=0, atol=1e-12)


def test_poly_epo_does_not_count_its_sets() -> None:
    """There are 4.4e9 sets of 8 among 64: the closed form takes less than a millisecond."""
    source = np.random.default_rng(0)
    quality, partition = source.random(64), source.integers(0, 20, 64)
    seconds = [cpu_seconds(lambda k: poly_epo(quality, partition, k=k), 8) for _ in range(TRIES)]
    assert min(seconds) < 0.05
    assert poly_epo(quality, partition, k=8).sum() == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="k = 65, but the group has 64 rollouts"):
        poly_epo(quality, partition, k=65)


def test_smoothing_by_hand() -> None:
    correct, logprobs = np.asarray([True, True, False]), np.asarray([-1.0, -3.0, -2.0])
    assert smoothing_exploration(correct, logprobs).tolist() == [1, 3, -2]
    assert smoothing_exploration(correct, logprobs, wrong_ratio=0.25).tolist() == [1, 3, -0.5]


def set_diversity(kernel: FloatArray, members: list[int]) -> float:
    n = len(members)
    density = [math.fsum(max(kernel[i, j], 0.0) for j in members) / n for i in members]
    return math.fsum(-math.log1p(x) for x in density) / n


def test_set_diversity_by_hand() -> None:
    """Two copies and a stranger: D = -(2 log(1 + 2/3) + log(1 + 1/3)) / 3; without a copy
    -log(1.5), without the stranger -log(2)."""
    kernel = np.asarray([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    whole = -(2 * math.log(5 / 3) + math.log(4 / 3)) / 3
    expected = [whole + math.log(1.5)] * 2 + [whole + math.log(2)]
    assert set_diversity_exploration(kernel).tolist() == pytest.approx(expected)
    assert set_diversity_exploration(np.ones((1, 1))).tolist() == [0]


@given(groups())
def test_set_diversity_is_what_is_lost_without_a_rollout(group: dict[str, Any]) -> None:
    kernel, everybody = group["cosines"], list(range(len(group["texts"])))
    for i, found in enumerate(set_diversity_exploration(kernel).tolist()):
        rest = [j for j in everybody if j != i]
        lost = set_diversity(kernel, everybody) - set_diversity(kernel, rest) if rest else 0.0
        assert found == pytest.approx(lost, abs=1e-12)


def test_mmr_by_hand() -> None:
    """Quality 1, 1, 0: mean 2/3, deviation sqrt(2)/3, so s = 1/sqrt(2) and w = sqrt(2) / (1 +
    sqrt(2)). a is picked with 1; then b, like a by 0.5, with w - (1 - w) / 2; then c with 0."""
    cosines = np.asarray([[1, 0.5, 0.0], [0.5, 1, 0.0], [0.0, 0.0, 1]])
    weight = math.sqrt(2) / (1 + math.sqrt(2))
    scores = np.asarray([1.0, weight - (1 - weight) / 2, 0.0])
    scaled = (scores - scores.mean()) / scores.std() * math.sqrt(2) / 3 + 2 / 3
    found = mmr(np.asarray([1.0, 1.0, 0.0]), cosines, ["a", "b", "c"])
    assert found.tolist() == pytest.approx(scaled.tolist())
    # Of two as good as each other the first by alphabet is picked, wherever it stands.
    other = mmr(np.asarray([1.0, 1.0, 0.0]), cosines, ["b", "a", "c"])
    assert other.tolist() == pytest.approx(scaled[[1, 0, 2]].tolist())


def test_mmr_leaves_equal_quality_and_shares_among_copies() -> None:
    alike = cosines_of([[1, 0], [1, 0.1], [0, 1]])
    assert mmr(np.full(3, 0.4), alike, ["a", "b", "c"]).tolist() == [0.4] * 3
    copies = np.asarray([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    found = mmr(np.asarray([1.0, 1.0, 0.5]), copies, ["a", "a", "b"])
    assert found[0] == found[1]


def test_maxrl_counts_what_rounding_brought_below_zero_as_zero() -> None:
    assert maxrl(np.array([-9e-7] * 3 + [2e-7])).tolist() == [0.0] * 4


def test_maxrl_of_diversity_alone_looks_at_no_quality() -> None:
    assert RewardOptions(advantage="maxrl").unsigned
    assert not RewardOptions(advantage="maxrl", objective="diversity").unsigned
