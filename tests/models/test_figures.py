"""Metrics against cases worked by hand, and against scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from darling_models.figures.intervals import (
    Interval,
    bootstrap,
    compare,
    mean_interval,
    prompt_means,
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


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        values = random.normal(size=40)
        figure = mean_interval(values.tolist(), [str(k) for k in range(40)])
        covered += figure.low < 0 < figure.high
    assert 86 <= covered <= 100


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
