"""Metrics against cases worked by hand, and against scikit-learn."""

import math
import tracemalloc
from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from darling_models.figures.comparison import PERMUTATIONS, compare, p_value
from darling_models.figures.intervals import (
    Interval,
    bootstrap,
    mean_interval,
    prompt_means,
    quantiles,
)
from darling_models.figures.metrics import (
    agreement,
    average_precision,
    expected_calibration_error,
    f1,
    pair_metrics,
    partition_metrics,
    roc_auc,
)
from darling_models.labelled_data import TeacherGroup

SCORES = np.asarray([0.9, 0.8, 0.8, 0.4, 0.1])
SIMILAR = np.asarray([True, True, False, False, True])


def test_auc_counts_a_tie_as_half() -> None:
    # Six (similar, different) pairs: .9 beats both; .8 ties with .8 and beats .4; .1 beats none.
    assert roc_auc(SCORES, SIMILAR) == pytest.approx((2 + 1.5 + 0) / 6)


def test_average_precision_takes_tied_scores_together() -> None:
    # Recall 1/3 at precision 1, another third at 2 of 3, the last at 3 of 5.
    assert average_precision(SCORES, SIMILAR) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_f1_by_hand() -> None:
    # Above .5: three said, three true, two both.
    assert f1(SCORES > 0.5, SIMILAR) == pytest.approx(2 * 2 / (3 + 3))
    assert f1(np.zeros(2, np.bool_), np.zeros(2, np.bool_)) == 1


def test_calibration_error_by_hand() -> None:
    # Bin .8: two pairs at .85, one similar, gap .35; bin .2: two at .25, none similar, gap .25.
    probabilities = np.asarray([0.85, 0.85, 0.25, 0.25])
    similar = np.asarray([True, False, False, False])
    error = expected_calibration_error(probabilities, similar)
    assert error == pytest.approx(0.5 * 0.35 + 0.5 * 0.25)


def test_the_same_as_scikit_learn() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        scores = random.integers(0, 12, 50) / 11
        similar = random.random(50) < 0.4
        assert roc_auc(scores, similar) == pytest.approx(roc_auc_score(similar, scores))
        expected = average_precision_score(similar, scores)
        assert average_precision(scores, similar) == pytest.approx(expected)
        assert f1(scores > 0.5, similar) == pytest.approx(f1_score(similar, scores > 0.5))


def test_one_label_alone_has_an_accuracy_and_no_auc() -> None:
    figures = pair_metrics(SCORES, SCORES > 0.5, np.ones(5, np.bool_))
    assert figures["accuracy"].value == pytest.approx(0.6)
    assert np.isnan(figures["auc"].value)
    assert np.isnan(figures["auc"].low)


def test_partitions_by_hand() -> None:
    # Stored {0, 1}, {2, 3}; found {0, 1}, {2}, {3}: one of two same-class pairs, five of six agree.
    found, stored = np.asarray([0, 0, 1, 2]), np.asarray([0, 0, 1, 1])
    pair_f1, rand, v, agree, classes = agreement(found, stored)
    assert pair_f1 == pytest.approx(2 * 1 / (1 + 2))
    # Expected same-class agreement: 1 * 2 / 6; (1 - 1/3) / ((1 + 2) / 2 - 1/3).
    assert rand == pytest.approx((1 - 1 / 3) / (1.5 - 1 / 3))
    # Homogeneity 1; completeness 1 - H(found | stored) / H(found) = 1 - .5 / 1.5 bits.
    assert v == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
    assert agree == pytest.approx(5 / 6)
    assert classes == 1


def test_a_group_judged_as_stored_is_perfect() -> None:
    stored = np.asarray([0, 1, 0])
    group = TeacherGroup("p", ("a", "b", "c"), stored)
    matrix = (stored[:, None] == stored[None, :]).astype(np.float64)
    figures = partition_metrics([matrix], [group], 0.5, "average")
    assert [figures[name].value for name in figures] == [1, 1, 1, 1, 0]


@pytest.mark.filterwarnings("error")
def test_groups_of_one_text_say_nothing_of_a_partition() -> None:
    stored = np.asarray([0, 0, 1])
    group = TeacherGroup("p", ("a", "b", "c"), stored)
    single = TeacherGroup("q", ("a",), np.asarray([0]))
    matrix, one = np.ones((3, 3)), np.ones((1, 1))
    alone = partition_metrics([matrix], [group], 0.5, "average")
    assert partition_metrics([one, matrix, one], [single, group, single], 0.5, "average") == alone
    nothing = partition_metrics([one], [single], 0.5, "average")
    assert all(np.isnan(interval.value) for interval in nothing.values())


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(1).normal(size=400)
    (interval,) = bootstrap(lambda of: [float(values[of].mean())], 400)
    half = 1.96 * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)


def test_whole_clusters_are_resampled() -> None:
    values = np.repeat([0.0, 1.0], 50)
    (interval,) = bootstrap(lambda of: [float(values[of].mean())], 100, ["a"] * 50 + ["b"] * 50)
    assert (interval.low, interval.high) == (0, 1), "two clusters, not a hundred values"


def test_an_interval_is_over_prompts_not_rows() -> None:
    """A hundred copies of two prompts are two observations."""
    few = mean_interval([0.0, 1.0], ["p", "q"])
    many = mean_interval([0.0] * 100 + [1.0] * 100, ["p"] * 100 + ["q"] * 100)
    assert many == few == Interval(0.5, 0.0, 1.0)
    one = mean_interval([1.0, 2.0, math.nan], ["p", "p", "q"])
    assert (one.value, str(one)) == (1.5, "1.500"), "one prompt has no interval"
    assert str(mean_interval([math.nan], ["p"])) == "-"


@pytest.mark.parametrize(("prompts", "least"), [(40, 0.9), (10, 0.9), (6, 0.88), (5, 0.86)])
def test_an_interval_covers_the_truth_about_as_often_as_it_says(prompts: int, least: float) -> None:
    """A plain percentile interval of 5 or 6 prompts covers 0.84 or 0.87."""
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        values = random.normal(size=prompts)
        figure = mean_interval(values.tolist(), [str(k) for k in range(prompts)])
        covered += figure.low < 0 < figure.high
    assert least <= covered / 200 < 1


def test_quantiles_are_those_of_a_normal_distribution_widened_for_few() -> None:
    """Hesterberg: Phi(-sqrt(n / (n - 1)) t); of 5, t = 2.776 and Phi(-3.104) = 0.00095."""
    assert quantiles(5)[0] == pytest.approx(0.00095, abs=1e-5)
    assert quantiles(100_000) == pytest.approx((0.025, 0.975), abs=1e-5)
    for clusters in range(2, 100):
        low, high = quantiles(clusters)
        assert 0 < low < quantiles(clusters + 1)[0] < 0.025
        assert low + high == pytest.approx(1)


def test_one_cluster_has_no_interval() -> None:
    (alone,) = bootstrap(lambda of: [1.0], 1)
    (together,) = bootstrap(lambda of: [1.0], 3, ["a"] * 3)
    assert str(alone) == str(together) == "1.000"


def test_a_paired_comparison_sees_what_means_alone_would_not() -> None:
    """Prompts differ a lot, the second run is always a little better."""
    random = np.random.default_rng(0)
    first = {str(k): float(random.normal() * 10) for k in range(20)}
    second = {p: v + 0.1 for p, v in first.items()}
    comparison = compare(first, second | {"only here": 99.0})
    assert comparison.difference.value == pytest.approx(0.1)
    assert comparison.prompts == 20
    assert comparison.p_value < 0.01
    assert compare(first, first).p_value == 1
    noise = compare(first, {p: v + float(random.normal()) for p, v in first.items()})
    assert noise.p_value > 0.05
    assert compare({"a": 1.0}, {"b": 1.0}).prompts == 0


def test_means_of_prompts_leave_out_what_was_not_measured() -> None:
    assert prompt_means([1.0, 3.0, math.nan], ["b", "b", "a"]) == {"b": 2.0}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_a_difference_of_rounding_is_none(scale: float) -> None:
    first = {str(k): scale * (0.1 + k / 7) for k in range(20)}
    assert compare(first, {p: v * (1 + 2**-50) for p, v in first.items()}).p_value == 1
    apart = compare(first, {p: (v / scale + 0.1 + 0.2 - 0.3) * scale for p, v in first.items()})
    assert apart.p_value == 1
    assert apart.difference == Interval(0.0, 0.0, 0.0)
    real = compare(first, {p: v + scale * 1e-3 for p, v in first.items()})
    assert real.p_value < 0.001
    assert real.difference.value == pytest.approx(scale * 1e-3)


def test_values_beside_zero_differ_by_rounding_too() -> None:
    """The mean cosine of copies is 1 to the last bit or one beside it."""
    zero = {str(k): 0.0 for k in range(20)}
    assert compare(zero, dict.fromkeys(zero, 5.6e-17)).p_value == 1


@pytest.mark.parametrize(
    "gains", [[1.0, 2.0, -0.5], [0.3] * 8, [1.0, -1.0], [2.0], [0.0, 1.0, 3.0]]
)
def test_few_prompts_have_the_exact_p_value(gains: list[float]) -> None:
    """Against all signs, written out."""
    totals = [abs(float(np.dot(signs, gains))) for signs in product((1, -1), repeat=len(gains))]
    expected = np.mean(np.asarray(totals) >= abs(sum(gains)) - 1e-12)
    assert p_value(np.asarray(gains)) == pytest.approx(expected)


def test_many_prompts_have_nearly_the_p_value_of_a_normal_distribution() -> None:
    random = np.random.default_rng(0)
    for shift in (0.0, 0.05, 0.1):
        gains = random.normal(size=1000) + shift
        z = gains.sum() / math.sqrt((gains**2).sum())
        assert p_value(gains) == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.02)
    assert p_value(np.full(1000, 0.1)) == 1 / (PERMUTATIONS + 1)


def test_a_comparison_of_many_prompts_takes_little_memory() -> None:
    """All signs of 10,000 prompts at once would be 100 MB as bytes and 800 MB as numbers."""
    gains = np.random.default_rng(0).normal(size=10_000).tolist()
    after = {str(k): gain for k, gain in enumerate(gains)}
    before = dict.fromkeys(after, 0.0)
    tracemalloc.start()
    compare(before, after)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


def test_prompts_are_told_apart_exactly() -> None:
    names = ["p", "p\0", "p ", "P", "p\u200b", "é", "e\u0301"]
    first = dict.fromkeys(names, 0.0)
    comparison = compare(first, dict.fromkeys(names, 1.0))
    assert (comparison.prompts, comparison.difference.value) == (7, 1.0)
    assert prompt_means([float(k) for k in range(7)], names) == dict(
        zip(names, map(float, range(7)), strict=True)
    )
    assert mean_interval([1.0, 3.0], ["p", "p\0"]).low < 2, "two prompts, not one"
