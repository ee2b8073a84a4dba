"""Behaviours: what `evaluate-classifier --behaviours` says, and the default on our own suite."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darling_models.evaluation.behaviours import MeasuredBehaviours, measure_behaviours
from darling_models.evaluation.regimes import LONG, MATHS, REGIMES, SHORT, pairs_within
from darling_models.evaluation.report import Breakdown, Section
from darling_models.figures.labelled_pairs import LabelledPairs, labelled_pair_figures
from darling_models.figures.metrics import expected_calibration_error, roc_auc
from darling_models.labelled_data import BehaviourGroup, read_behaviours
from darling_models.lexical import Exact
from darling_models.registry import load
from darling_service.cli.main import main

SUITE = Path(__file__).parents[1] / "behaviours/suite.jsonl"

BOUNDS = {
    "advice-explanations": (0.73, 0.07),
    "code": (0.77, 0.10),
    "creative-short": (0.86, 0.10),
    "creative-story": (0.75, 0.05),
    "factual-qa": (0.93, 0.03),
    "long-advice": (0.58, 0.13),
    "long-code": (0.54, 0.22),
    "long-maths": (0.76, 0.13),
    "long-qa": (0.71, 0.29),
    "long-story": (0.67, 0.05),
    "maths-final-answer": (0.92, 0.02),
    "multilingual": (0.89, 0.03),
    "negation-and-polarity": (0.81, 0.02),
    "noise": (0.88, 0.03),
    "numbers-units-dates": (0.92, 0.03),
    "pick-one": (0.95, 0.02),
    "short-list": (0.83, 0.17),
    "thinking": (0.94, 0.02),
}
"""What the default reaches in each category: at least so many pairs right, at most so many pairs
wrongly merged. Each is one or two pairs away from what it reached when it was written down."""


@pytest.fixture(scope="module")
def suite() -> list[BehaviourGroup]:
    return read_behaviours(SUITE)


@pytest.fixture(scope="module")
def by_category(suite: list[BehaviourGroup]) -> dict[str, Section]:
    sections = measure_behaviours({"embedded": load("embedded")}, suite).sections()
    (breakdown,) = (each for each in sections if isinstance(each, Breakdown))
    return dict(breakdown.parts)


def test_every_group_of_the_suite_has_equivalent_and_different_answers(
    suite: list[BehaviourGroup],
) -> None:
    for group in suite:
        sizes = Counter(group.partition.tolist())
        assert len(sizes) > 1, group.id
        assert max(sizes.values()) > 1, group.id
    groups = Counter(group.category for group in suite)
    assert groups.keys() == BOUNDS.keys()
    assert min(groups.values()) >= 3


@pytest.mark.heavy
@pytest.mark.parametrize("category", BOUNDS)
def test_the_default_is_as_good_as_it_was(by_category: dict[str, Section], category: str) -> None:
    at_least, at_most = BOUNDS[category]
    figures = by_category[category].figures["embedded"]
    assert figures["accuracy"].value >= at_least
    assert figures["wrong_merges"].value <= at_most


def group(category: str, texts: Sequence[str], classes: Sequence[int]) -> BehaviourGroup:
    return BehaviourGroup(f"prompt of {texts}", tuple(texts), np.asarray(classes), "id", category)


def sections_of(measured: MeasuredBehaviours) -> dict[str, Section]:
    flat: dict[str, Section] = {}
    for each in measured.sections():
        parts = each.parts.values() if isinstance(each, Breakdown) else [each]
        flat |= {part.title: part for part in parts}
    return flat


def test_figures_by_hand() -> None:
    # To `exact`, case makes no difference: it splits a and x, and merges d and D.
    groups = [
        group("case", ["a", "x", "b"], [0, 0, 1]),
        group("case", ["c", "c", "d", "D"], [0, 0, 1, 2]),
        group("maths-words", ["50", "fifty"], [0, 0]),
        group("alone", ["x"], [0]),
    ]
    measured = measure_behaviours({"exact": Exact()}, groups)
    sections = sections_of(measured)
    whole = {key: each.value for key, each in sections["behaviours"].figures["exact"].items()}
    assert sections["behaviours"].count == 3, "groups of several texts"
    assert whole["accuracy"] == pytest.approx(7 / 10)
    assert whole["wrong_merges"] == pytest.approx(1 / 10)
    assert whole["different_merged"] == pytest.approx(1 / 7)
    assert whole["wrong_splits"] == pytest.approx(2 / 10)
    assert whole["same_split"] == pytest.approx(2 / 3)
    assert whole["class_error"] == pytest.approx((1 + 1 + 1) / 3)
    assert sections["behaviours, maths-words"].figures["exact"]["accuracy"].value == 0
    assert np.isnan(sections["behaviours, alone"].figures["exact"]["accuracy"].value)
    assert sections[f"behaviours, {SHORT}"].count == 10
    assert sections[f"behaviours, {MATHS}"].count == 1, "by the category"
    mistakes = list(measured.mistakes("exact"))
    assert [(row["generation_0"], row["generation_1"]) for row in mistakes] == [
        ("a", "x"),
        ("d", "D"),
        ("50", "fifty"),
    ]
    assert [(row["similar"], row["probability"]) for row in mistakes] == [(1, 0), (0, 1), (1, 0)]


LABELLED = st.lists(
    st.tuples(st.floats(0, 1), st.booleans()).map(lambda pair: (round(pair[0], 3), pair[1])),
    max_size=8,
)


@settings(max_examples=30)  # each is resampled a thousand times
@given(st.lists(LABELLED, min_size=1, max_size=5), st.sampled_from([0.25, 0.5, 0.9]))
def test_shares_of_pairs_are_those_of_all_pairs_as_one(
    rows: list[list[tuple[float, bool]]], threshold: float
) -> None:
    groups = [
        LabelledPairs(
            str(k),
            np.asarray([p for p, _ in own], dtype=np.float64),
            np.asarray([same for _, same in own], dtype=np.bool_),
        )
        for k, own in enumerate(rows)
    ]
    figures = {k: v.value for k, v in labelled_pair_figures(groups, threshold).items()}
    probabilities = np.concatenate([each.probabilities for each in groups])
    same = np.concatenate([each.same for each in groups])
    if not len(same):
        assert np.isnan(list(figures.values())).all()
        return
    said = probabilities > threshold
    assert figures["wrong_merges"] == pytest.approx((said & ~same).mean())
    assert figures["wrong_splits"] == pytest.approx((~said & same).mean())
    assert sum(figures[key] for key in ("accuracy", "wrong_merges", "wrong_splits")) == (
        pytest.approx(1)
    )
    for key, part, wrong in (("different_merged", ~same, said), ("same_split", same, ~said)):
        expected = wrong[part].mean() if part.any() else np.nan
        assert figures[key] == pytest.approx(expected, nan_ok=True)
    assert figures["ece"] == pytest.approx(expected_calibration_error(probabilities, same))
    assert figures["auc"] == pytest.approx(roc_auc(probabilities, same), nan_ok=True)


@pytest.mark.parametrize(
    ("text", "regimes"),
    [
        ("Paris.", {SHORT}),
        ("one two three four five six seven eight nine ten eleven twelve 13 14 15", {SHORT}),
        ("one two three four five six seven eight nine ten eleven twelve 13 14 15 16", set()),
        ("word " * 99, set()),
        ("word " * 100, {LONG}),
        ("17*24 = 408.", {SHORT, MATHS}),
        (r"$\boxed{4}$", {SHORT, MATHS}),
        ("so x = −5", {SHORT, MATHS}),
        ("It costs $5 a month, on 3 of 4 days.", {SHORT}),
        ("A well-known, up-to-date C-3PO toy", {SHORT}),
    ],
)
def test_regimes_by_hand(text: str, regimes: set[str]) -> None:
    assert {title for title, belongs in REGIMES.items() if belongs(text)} == regimes


def test_a_pair_belongs_to_a_regime_if_both_texts_do() -> None:
    pairs = pairs_within(["a", "b " * 50, "c"], REGIMES[SHORT])
    assert pairs.tolist() == [[0, 2]]
    assert pairs_within(["b " * 50], REGIMES[SHORT]).shape == (0, 2)


def test_the_command_prints_categories_side_by_side_and_keeps_the_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"prompt": "p", "rollouts": ["2 + 2 = 4", "four", "3 = 3"], "classes": [0, 0, 1]}
    rows = [{**row, "id": str(k), "category": "ab"[k % 2]} for k in range(4)]
    file = tmp_path / "behaviours.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--model", "exact", "--baselines", "unigram,ngram", "--out", str(tmp_path / "out")]
    assert main(["evaluate-classifier", "--behaviours", str(file), *words]) == 0
    printed = capsys.readouterr().out
    table = printed[printed.index("behaviours by category: wrong splits") :].splitlines()
    assert table[1].split() == ["exact", "unigram", "ngram"]
    assert [line.split()[:3] for line in table[2:4]] == [
        ["a", "(2)", "0.333"],
        ["b", "(2)", "0.333"],
    ]
    assert f"behaviours, {MATHS} (4 pairs)" in printed
    document = json.loads((tmp_path / "out/evaluation.json").read_text())
    sections = {section["title"]: section for section in document["sections"]}
    assert {"behaviours", "behaviours, a", "behaviours, b"} < sections.keys()
    figures = sections["behaviours"]["figures"]["exact"]
    assert figures["accuracy"]["value"] == pytest.approx(2 / 3)
    mistakes = (tmp_path / "out/mistakes.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in mistakes] == ["0", "1", "2", "3"]
    assert json.loads(mistakes[0])["generation_1"] == "four"


def test_reasoning_is_no_part_of_a_behaviour(tmp_path: Path) -> None:
    rollouts = ["<think>4? No.</think>5", {"text": "5"}, "<think>It is 5"]
    row = {"id": "1", "category": "c", "prompt": "p", "rollouts": rollouts, "classes": [0, 0, 7]}
    file = tmp_path / "behaviours.jsonl"
    file.write_text(json.dumps(row))
    (one,) = read_behaviours(file)
    assert one.texts == ("5", "5", "")
