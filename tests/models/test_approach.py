"""The notion `approach` of the default classifier, and what the suite of methods says of it."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darling_models.embedded.approach import (
    BALANCED_ACCURACY,
    WITHIN_ONE_ANSWER,
    working_words,
)
from darling_models.embedded.set_overlap import codes_of
from darling_models.embedded.strings.words import stem
from darling_models.errors import ModelError
from darling_models.evaluation.predict import of_groups
from darling_models.figures.labelled_pairs import labelled_pairs
from darling_models.labelled_data import BehaviourGroup, read_behaviours
from darling_models.notions import by_notion
from darling_models.options import ModelOptions
from darling_models.protocol import EquivalenceClassifier, all_pairs, classify
from darling_models.registry import load

SUITE = Path(__file__).parents[1] / "behaviours/approach.jsonl"
PROMPT = "How many handshakes are there if seven people all shake hands with each other?"
SUM = "Each newcomer greets everybody present, so add 1 + 2 + 3 + 4 + 5 + 6."
PAIRS = "Choose a pair: the binomial coefficient C(7, 2) counts them."
ANSWERS = (
    "The answer is 21.",
    "**Answer:** 21",
    r"So $\boxed{21}$.",
    "Hence the final answer is 20, I think.",
    "= 21",
    "",
)


@pytest.fixture(scope="module")
def embedded() -> EquivalenceClassifier:
    return load("embedded")


@pytest.fixture(scope="module")
def approach(embedded: EquivalenceClassifier) -> EquivalenceClassifier:
    return by_notion(embedded, "approach")


def probability(classifier: EquivalenceClassifier, a: str, b: str) -> float:
    return float(classify(classifier, PROMPT, [a, b], all_pairs(2))[0])


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_final_answer_that_is_stated_apart_is_no_working(answer: str) -> None:
    assert working_words(f"{SUM} {answer}").tolist() == working_words(SUM).tolist()


@given(st.text(alphabet="0123456789.,/+-=$ \\{}\n", max_size=60))
@settings(max_examples=50)
def test_numbers_and_signs_are_no_working(text: str) -> None:
    assert len(working_words(text)) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Factor it: \\frac{x}{2} \\sqrt{y}.", "factor x y"),
        ("用等差数列求和。答案是21", "用等差数列求和"),
        ("Halve it. The final result follows", "halve follows"),
        ("Name it K = 3x. \\boxed{K} is what we want", "name k"),
        ("", ""),
    ],
)
def test_what_is_working_by_hand(text: str, words: str) -> None:
    assert working_words(text).tolist() == codes_of(stem(word) for word in words.split()).tolist()


def test_methods_decide_and_not_answers(
    embedded: EquivalenceClassifier, approach: EquivalenceClassifier
) -> None:
    same_method = (f"{SUM} The answer is 21.", f"{SUM} The answer is 28.")
    assert probability(embedded, *same_method) < embedded.info.threshold
    assert probability(approach, *same_method) > approach.info.threshold
    same_answer = (f"{SUM} The answer is 21.", f"{PAIRS} The answer is 21.")
    assert probability(embedded, *same_answer) > embedded.info.threshold
    assert probability(approach, *same_answer) < approach.info.threshold


@pytest.mark.parametrize("bare", ["21", "It is 21.", r"\boxed{21}", "28", "Twenty", "7·6/2 = 21"])
def test_a_text_without_working_is_compared_by_its_answer(
    embedded: EquivalenceClassifier, approach: EquivalenceClassifier, bare: str
) -> None:
    for other in ("The answer is 21.", "30", f"{SUM} The answer is 21."):
        assert probability(approach, bare, other) == probability(embedded, bare, other)


def test_results_are_by_pair_and_not_by_company(approach: EquivalenceClassifier) -> None:
    texts = [SUM, PAIRS, "21", f"{SUM} The answer is 3.", r"\boxed{21}", f"{PAIRS} 21"]
    together = classify(approach, PROMPT, texts, all_pairs(6))
    for (i, j), value in zip(all_pairs(6).tolist(), together.tolist(), strict=True):
        assert probability(approach, texts[i], texts[j]) == value
        assert probability(approach, texts[j], texts[i]) == value


def test_a_text_has_another_key_for_each_notion(
    embedded: EquivalenceClassifier, approach: EquivalenceClassifier
) -> None:
    plans = [each.plan(PROMPT, [SUM, PAIRS], all_pairs(2)).units for each in (embedded, approach)]
    keys = [[unit.key for unit in units] for units in plans]
    assert keys[0][0] == keys[1][0], "the prompt is read once"
    assert not set(keys[0][1:]) & set(keys[1][1:])


def test_operating_points_are_those_of_the_answer() -> None:
    precise = load("embedded", ModelOptions(threshold="precision"))
    assert precise.info.threshold == precise.info.operating_points["precision"]
    assert by_notion(precise, "approach").info.threshold == 0.5
    with pytest.raises(ModelError, match="no threshold named 'precision'"):
        load("embedded", ModelOptions(threshold="precision", notion="approach"))
    assert load("embedded", ModelOptions(notion="approach")).info.notion == "approach"


def test_other_classifiers_say_that_they_have_no_such_notion() -> None:
    for name in ("exact", "remote:http://127.0.0.1:9"):
        with pytest.raises(ModelError, match="leave notion out, or serve a model that has it"):
            load(name, ModelOptions(notion="approach"))
        with pytest.raises(ValueError, match="leave notion out"):
            by_notion(load(name), "approach")


@pytest.fixture(scope="module")
def suite() -> list[BehaviourGroup]:
    return read_behaviours(SUITE)


def test_the_suite_has_two_wordings_of_each_method(suite: list[BehaviourGroup]) -> None:
    for group in suite:
        sizes = Counter(group.partition.tolist())
        assert len(sizes) in (2, 3), group.id
        assert set(sizes.values()) == {2}, group.id
    kinds = Counter(group.category for group in suite)
    assert len(suite) >= 40
    assert min(kinds.values()) >= 6
    assert all(count % 2 == 0 for count in kinds.values())


def test_the_stated_accuracy_is_what_the_reported_half_gives(
    approach: EquivalenceClassifier, suite: list[BehaviourGroup]
) -> None:
    """The groups with even numbers; weights and rules were chosen on the others."""
    lines = map(json.loads, SUITE.read_text().splitlines())
    one_answer = {line["id"] for line in lines if line["same_answer"]}
    reported = [group for group in suite if int(group.id.rpartition("-")[2]) % 2 == 0]
    within = [group for group in reported if group.id in one_answer]
    assert 0 < len(within) < len(reported)
    for groups, stated in ((reported, BALANCED_ACCURACY), (within, WITHIN_ONE_ANSWER)):
        pairs = [all_pairs(len(group.texts)) for group in groups]
        labelled = labelled_pairs(groups, of_groups(approach, groups, "approach"), pairs)
        similar = np.concatenate([pairs.same for pairs in labelled])
        said = np.concatenate([pairs.probabilities for pairs in labelled]) > approach.info.threshold
        balanced = (said[similar].mean() + (~said[~similar]).mean()) / 2
        assert balanced == pytest.approx(stated, abs=0.01)
