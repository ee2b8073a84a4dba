"""Objectives and advantages beyond DARLING: hand-worked, brute force, invariants."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darling_service.rewards.embedding_space import evol_novelty, evol_rewards, volume_marginals
from darling_service.rewards.pass_at_k import (
    nsr,
    pass_at_k_advantages,
    pkpo_advantages,
    psr,
    w_reinforce,
)
from darling_service.rewards.preference import preference_pair
from darling_service.rewards.rarity import (
    batch_exploration,
    gapo_rewards,
    uniqueness_weighted,
    unlikeliness_rewards,
    visit_exploration,
)
from darling_service.rewards.vector_policy import vector_advantages, vector_rewards

numbers = st.floats(-10, 10, allow_nan=False)


@pytest.mark.parametrize(
    ("right", "good", "bad"),
    [(1, 1.0, -0.143), (2, 0.522, -0.174), (3, 0.277, -0.166), (4, 0.120, -0.120), (5, 0, 0)],
)
def test_pass_at_k_training_by_the_papers_table(right: int, good: float, bad: float) -> None:
    """n = 8, k = 4."""
    found = pass_at_k_advantages(np.arange(8) < right, k=4)
    assert found[0] == pytest.approx(good, abs=5e-4)
    assert found[-1] == pytest.approx(bad, abs=5e-4)
    assert found.sum() == pytest.approx(0, abs=1e-12)


@given(st.integers(2, 8), st.data())
@settings(deadline=None)
def test_pass_at_k_training_is_the_mean_over_sets(n: int, data: st.DataObject) -> None:
    """A rollout's advantage is the mean, over the sets it is in, of the set's own advantage."""
    k = data.draw(st.integers(1, n))
    correct = np.asarray(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    found = pass_at_k_advantages(correct, k=k)
    sets = list(combinations(range(n), k))
    rewards = [float(correct[list(s)].any()) for s in sets]
    mean = sum(rewards) / len(sets)
    spread = math.sqrt(mean * (1 - mean))
    for i in range(n):
        own = [(r - mean) / spread for s, r in zip(sets, rewards, strict=True) if i in s and spread]
        assert found[i] == pytest.approx(sum(own) / len(own) if own else 0.0, abs=1e-9)


@given(st.lists(numbers, min_size=1, max_size=7), st.data())
@settings(deadline=None)
def test_pkpo_agrees_with_brute_force(values: list[float], data: st.DataObject) -> None:
    n = len(values)
    k = data.draw(st.integers(1, n))
    sets = list(combinations(range(n), k))
    found = pkpo_advantages(np.asarray(values), k=k)
    for i in range(n):
        total = 0.0
        for s in sets:
            if i in s:
                rest = [values[j] for j in s if j != i]
                total += max(values[j] for j in s) - (max(rest) if rest else 0.0)
        assert found[i] == pytest.approx(total / len(sets), abs=1e-9)


def test_pkpo_by_hand() -> None:
    one = pkpo_advantages((np.arange(8) < 1).astype(float), k=4)
    two = pkpo_advantages((np.arange(8) < 2).astype(float), k=4)
    assert one.tolist() == pytest.approx([0.5] + [0] * 7)
    assert two.tolist() == pytest.approx([2 / 7, 2 / 7] + [0] * 6)


@pytest.mark.parametrize("estimate", [pass_at_k_advantages, pkpo_advantages])
def test_more_tries_than_rollouts_are_refused(estimate: object) -> None:
    assert callable(estimate)
    with pytest.raises(ValueError, match="k = 4, but the group has 3 rollouts"):
        estimate(np.ones(3), k=4)


def test_signed_advantages_by_hand() -> None:
    correct = np.asarray([True, False])
    assert w_reinforce(correct).tolist() == [0.1, -1.0]
    assert w_reinforce(correct, positive_weight=0.3).tolist() == [0.3, -1.0]
    assert nsr(correct).tolist() == [0.0, -1.0]
    assert psr(correct).tolist() == [1.0, 0.0]


def test_unlikeliness_by_hand() -> None:
    """Ranks 0, 1, 2, 3 of log-probabilities -4, -3, -2, -1; the wrong one keeps its 0."""
    found = unlikeliness_rewards(
        np.asarray([1.0, 1.0, 0.0, 1.0]), np.asarray([-4.0, -3.0, -2.0, -1.0])
    )
    assert found.tolist() == pytest.approx([1.0, 1 - 0.25 / 4, 0.0, 1 - 0.25 * 3 / 4])
    tied = unlikeliness_rewards(np.ones(2), np.zeros(2))
    assert tied.tolist() == pytest.approx([1 - 0.25 * 0.5 / 2] * 2)


def test_uniqueness_and_its_sign_pitfall_by_hand() -> None:
    """Three rollouts of a common strategy, one rare; two right, two wrong."""
    advantages, partition = np.asarray([1.0, -1.0, -1.0, 1.0]), np.asarray([0, 0, 0, 1])
    published = uniqueness_weighted(advantages, partition, 1.0, only_positive=False)
    assert published.tolist() == pytest.approx([1 / 3, -1 / 3, -1 / 3, 1.0])
    cured = uniqueness_weighted(advantages, partition, 1.0)
    assert cured.tolist() == pytest.approx([1 / 3, -1.0, -1.0, 1.0])
    assert uniqueness_weighted(advantages, partition, 0.0).tolist() == advantages.tolist()


def test_gapo_by_hand() -> None:
    """Valid: red, red, blue; four colours exist."""
    valid = np.asarray([True, True, True, False])
    found = gapo_rewards(["red", "red", "blue", "?"], valid, support=4)
    assert found.tolist() == pytest.approx([1 - (2 / 3 - 1 / 4)] * 2 + [1 - (1 / 3 - 1 / 4), -1])


def test_exploration_by_hand() -> None:
    assert batch_exploration(["a", "a", "b", "a"]).tolist() == [-0.5, -0.5, 0.0, -0.5]
    found = visit_exploration(np.asarray([0, 1, 4, 16]))
    assert found.tolist() == pytest.approx([0.5, 0.5, 0.0, -0.25])


def test_volume_marginals_by_hand() -> None:
    """Two copies and a stranger: det(L + I) = 3 * 2 = 6; without a copy 4, without the other 3."""
    kernel = np.asarray([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    found = volume_marginals(kernel)
    assert found.tolist() == pytest.approx([math.log(6 / 4)] * 2 + [math.log(2)])


@given(st.integers(1, 7), st.integers(0, 99))
@settings(deadline=None)
def test_volume_marginals_agree_with_determinants(n: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kernel = rows @ rows.T
    whole = np.linalg.slogdet(kernel + np.eye(n))[1]
    for i, found in enumerate(volume_marginals(kernel).tolist()):
        rest = np.delete(np.delete(kernel, i, 0), i, 1)
        without = np.linalg.slogdet(rest + np.eye(n - 1))[1] if n > 1 else 0.0
        assert found == pytest.approx(whole - without, abs=1e-9)
        assert -1e-12 <= found <= math.log(2) + 1e-12


def test_evol_novelty_by_hand() -> None:
    """Labels a, a, a, b. Among the a's: raw 1 - (mean + max) / 2."""
    kernel = np.asarray(
        [[1, 0.8, 0.2, 0.1], [0.8, 1, 0.4, 0.1], [0.2, 0.4, 1, 0.9], [0.1, 0.1, 0.9, 1]]
    )
    raw = [1 - (0.5 + 0.8) / 2, 1 - (0.6 + 0.8) / 2, 1 - (0.3 + 0.9) / 2]
    low, high = min(raw), max(raw)
    found = evol_novelty(kernel, ["a", "a", "a", "b"])
    assert found.tolist() == pytest.approx([(r - low) / (high - low) for r in raw] + [0.5])
    rewards = evol_rewards(
        found, np.asarray([True, True, True, False]), np.asarray([True, True, True, True])
    )
    assert rewards[:3].tolist() == pytest.approx([0.5 + 0.5 * u for u in found[:3]])
    assert rewards[3] == -0.5, "a lone minority"
    nobody = evol_rewards(found, np.zeros(4, np.bool_), np.zeros(4, np.bool_))
    assert nobody.tolist() == [-1.0] * 4


def test_vector_rewards_of_one_count_are_the_best_solution() -> None:
    found = vector_rewards([np.asarray([[1.0], [3.0]]), np.empty((0, 1))], "Solve it.")
    assert found.tolist() == pytest.approx([3.0, 0.0])


def test_vector_rewards_prefer_a_set_that_covers_every_weighting() -> None:
    """Two specialists beat two copies of a compromise; one draw of weights serves the group."""
    both, compromise = np.asarray([[1.0, 0], [0, 1]]), np.asarray([[0.5, 0.5], [0.5, 0.5]])
    found = vector_rewards([both, compromise, both], "Solve it.", seed=3)
    assert found[0] == found[2] > found[1] == pytest.approx(0.5)
    assert found[0] == pytest.approx(0.75, abs=0.05), "E max(w, 1 - w) of a uniform w"
    advantages = vector_advantages(found)
    assert advantages.sum() == pytest.approx(0, abs=1e-9)
    assert vector_advantages(np.ones(3)).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"scored on \[1, 2\] counts"):
        vector_rewards([both, np.ones((1, 1))], "Solve it.")


def test_preference_pair_by_hand() -> None:
    quality = np.asarray([1.0, 0.95, 0.5, 0.1, 0.0])
    distinct = np.asarray([0.2, 0.9, 1.0, 0.8, 0.3])
    assert preference_pair(quality, distinct, 0.1) == (1, 4)
    assert preference_pair(quality, distinct, 0.0) == (0, 4)
    assert preference_pair(np.ones(3), distinct[:3], 0.3) is None


@given(
    st.lists(st.tuples(numbers, st.booleans(), st.integers(0, 3)), min_size=2, max_size=8),
    st.randoms(),
)
@settings(deadline=None)
def test_permuting_rollouts_permutes_every_estimate(
    rollouts: list[tuple[float, bool, int]], random: object
) -> None:
    order = list(range(len(rollouts)))
    random.shuffle(order)  # type: ignore[attr-defined]

    def everything(rows: list[tuple[float, bool, int]]) -> list[list[float]]:
        values = np.asarray([value for value, _, _ in rows])
        correct = np.asarray([right for _, right, _ in rows])
        classes = np.asarray([c for _, _, c in rows])
        answers = classes.tolist()
        return [
            array.tolist()
            for array in (
                pass_at_k_advantages(correct, k=2),
                pkpo_advantages(values, k=2),
                unlikeliness_rewards(values, values),
                uniqueness_weighted(values, classes, 0.7),
                gapo_rewards(answers, correct, support=4),
                batch_exploration(answers),
            )
        ]

    plain = everything(rollouts)
    moved = everything([rollouts[k] for k in order])
    for before, after in zip(plain, moved, strict=True):
        assert [before[k] for k in order] == after
