"""The reward maths against figures worked by hand, from the paper and from the published code."""

import numpy as np
import pytest

from darling_service.rewards.advantages import centered, grpo, rloo
from darling_service.rewards.diversity import (
    ngram_diversity,
    pairwise_diversity,
    partition_diversity,
    unlikelihood_diversity,
)
from darling_service.rewards.exact import FloatArray
from darling_service.rewards.objectives import darling
from darling_service.rewards.quality import zscore
from darling_service.rewards.registry import OBJECTIVES
from darling_service.rewards.shaping import add, multiply, shape_diversity
from darling_service.schemas.reward_options import RewardOptions


def array(*values: float) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def classes(*labels: int) -> np.ndarray:
    return np.asarray(labels, dtype=np.int64)


def everyone(n: int) -> np.ndarray:
    return np.ones(n, dtype=np.bool_)


def test_figure_2_of_the_paper() -> None:
    """Clusters {A, A}, {B}, {C} of four rollouts: 2/3, 2/3, 1, 1."""
    np.testing.assert_allclose(partition_diversity(classes(0, 0, 1, 2)), [2 / 3, 2 / 3, 1, 1])


def test_figure_2_pairwise_agrees_with_the_partition() -> None:
    equal = np.eye(4)
    equal[0, 1] = equal[1, 0] = 1
    np.testing.assert_allclose(pairwise_diversity(equal), [2 / 3, 2 / 3, 1, 1])


def test_published_floor_keeps_a_collapsed_group_at_a_tenth() -> None:
    d = shape_diversity(partition_diversity(classes(0, 0, 0, 0)), floor=0.1)
    np.testing.assert_array_equal(d, [0.1] * 4)


@pytest.mark.parametrize("diversity", [partition_diversity(classes(0)), ngram_diversity(["a b"])])
def test_a_group_of_one_is_fully_diverse(diversity: FloatArray) -> None:
    """The published code divides by zero here."""
    np.testing.assert_array_equal(diversity, [1.0])


def test_pairwise_counts_each_pair_once_without_closure() -> None:
    """0~1 and 1~2 but not 0~2: single linkage would make it one class with d = 0."""
    equal = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=np.float64)
    np.testing.assert_array_equal(pairwise_diversity(equal), [0.5, 0.0, 0.5])


def test_soft_pairwise_uses_probabilities() -> None:
    p = np.array([[1, 0.25, 0.75], [0.25, 1, 0.5], [0.75, 0.5, 1]])
    np.testing.assert_allclose(pairwise_diversity(p), [0.5, 0.625, 0.375])


def test_among_compares_members_with_members_only() -> None:
    member = np.array([True, True, False, True])
    np.testing.assert_allclose(
        partition_diversity(classes(0, 0, 0, 1), member), [1 / 2, 1 / 2, 0, 1]
    )


def test_among_with_one_member_does_not_damp_the_rarest_success() -> None:
    """The published partition_correct gives a lone correct answer 0.1 (its bug 8)."""
    member = np.array([False, True, False])
    np.testing.assert_array_equal(partition_diversity(classes(0, 0, 0), member), [0, 1, 0])


def test_ngram_diversity_by_hand() -> None:
    """ "a b c d e" has 4-grams abcd and bcde; "a b c d f" shares abcd."""
    texts = ["a b c d e", "a b c d f", "v w x y z"]
    np.testing.assert_allclose(ngram_diversity(texts), [0.5, 0.5, 1.0])


def test_ngram_diversity_counts_repeats_in_the_denominator() -> None:
    """ "a a a a a a" holds the 4-gram aaaa three times: one new of three."""
    np.testing.assert_allclose(ngram_diversity(["a a a a a a", "b c d e"]), [1 / 3, 1.0])


def test_ngram_diversity_of_texts_too_short_for_one() -> None:
    np.testing.assert_array_equal(ngram_diversity(["yes", "yes", "no"]), [0, 0, 1])


def test_unlikelihood_is_inverted_min_max() -> None:
    np.testing.assert_allclose(unlikelihood_diversity(array(-1.0, -3.0, -2.0)), [0, 1, 0.5])
    np.testing.assert_array_equal(unlikelihood_diversity(array(-2.0, -2.0)), [0.5, 0.5])
    np.testing.assert_array_equal(unlikelihood_diversity(array(-2.0)), [1.0])


def test_darling_product_by_hand() -> None:
    """Quality .9, .8, .7 with classes 0, 0, 1: d = 1/2, 1/2, 1."""
    diversity = partition_diversity(classes(0, 0, 1))
    np.testing.assert_allclose(diversity, [0.5, 0.5, 1.0])
    rewards = darling(array(0.9, 0.8, 0.7), diversity, everyone(3), negative="sign_aware")
    np.testing.assert_allclose(rewards, [0.45, 0.4, 0.7])


def test_raw_product_pays_duplicates_when_quality_is_negative() -> None:
    """The published behaviour (its bug 5): r = -2 for all, three duplicates and one distinct."""
    d = partition_diversity(classes(0, 0, 0, 1))
    published = multiply(array(-2, -2, -2, -2), d, "as_published")
    np.testing.assert_allclose(centered(published), [1 / 3, 1 / 3, 1 / 3, -1.0])


def test_sign_aware_product_never_pays_duplicates() -> None:
    d = partition_diversity(classes(0, 0, 0, 1))
    value = multiply(array(-2, -2, -2, -2), d)
    np.testing.assert_allclose(value, [-10 / 3, -10 / 3, -10 / 3, -2.0])


def test_shift_min_moves_only_negative_groups() -> None:
    np.testing.assert_allclose(multiply(array(-1.0, 1.0), array(0.5, 1.0), "shift_min"), [0.0, 2.0])
    np.testing.assert_allclose(multiply(array(1.0, 2.0), array(0.5, 1.0), "shift_min"), [0.5, 2.0])


def test_left_out_rollouts_keep_their_quality() -> None:
    member = np.array([True, True, False])
    quality = array(1.0, 1.0, -0.5)
    diversity = partition_diversity(classes(0, 0, 1), member)
    np.testing.assert_array_equal(diversity, [0.0, 0.0, 0.0])
    rewards = darling(quality, diversity, member, negative="sign_aware")
    np.testing.assert_array_equal(rewards, [0.0, 0.0, -0.5])


def test_additive_mix_by_hand() -> None:
    np.testing.assert_allclose(add(array(1, 2), array(0.5, 1), 2.0, 3.0), [3.5, 7.0])


def test_normalised_additive_mix_keeps_the_negative_z_of_a_wrong_answer() -> None:
    """The published code leaves it at 0 (its bug 4) and then discards the sum (its bug 3)."""
    mixed = add(array(0, 1, 1), array(0, 0.5, 1), normalize=True)
    z_quality = np.array([-2 / 3, 1 / 3, 1 / 3]) / np.sqrt(1 / 3)
    z_diversity = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(mixed, z_quality + z_diversity)


def test_zscore_of_equal_values_is_zero() -> None:
    np.testing.assert_array_equal(zscore(array(0.1, 0.1, 0.1)), [0.0, 0.0, 0.0])


def test_exponent_and_floor() -> None:
    np.testing.assert_allclose(shape_diversity(array(0.5, 0.1), 0.05, 2.0), [0.25, 0.05])


def test_quality_objective_ignores_diversity_and_the_other_way_round() -> None:
    columns = {"quality": array(0.2, 0.9), "diversity": array(0.0, 1.0)}
    for name in columns:
        rewards = OBJECTIVES[name](columns, RewardOptions(objective=name))
        np.testing.assert_array_equal(rewards, columns[name])


def test_advantages_by_hand() -> None:
    """Rewards 1, 3, 2, 2 (verl's own example: 1 and 3 in one group give -1 and 1)."""
    np.testing.assert_allclose(centered(array(1, 3)), [-1, 1])
    np.testing.assert_allclose(grpo(array(1, 3)), [-0.70710628, 0.70710628])
    np.testing.assert_allclose(rloo(array(1, 3)), [-2, 2])
    np.testing.assert_allclose(rloo(array(1, 2, 6)), [1 - 4, 2 - 3.5, 6 - 1.5])
    for estimate in (centered, grpo, rloo):
        np.testing.assert_array_equal(estimate(array(0.1, 0.1, 0.1)), [0, 0, 0])
        np.testing.assert_array_equal(estimate(array(7.0)), [0.0])
