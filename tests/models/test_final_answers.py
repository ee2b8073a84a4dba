"""Equal final answers, among them ones made to burn the verifier's time."""

import time
from pathlib import Path

import numpy as np
import pytest

from darling_models.errors import ModelError
from darling_models.protocol import EquivalenceClassifier, all_pairs, classify
from darling_models.registry import load
from tests.conftest import running

math_verify = pytest.importorskip("math_verify", reason="the extra `math` is not installed")

HOSTILE = [
    "The answer is $9^{9^{9^9}}$.",
    "So $10000000!$ it is: $\\boxed{10000000!}$",
    "$\\boxed{" + "(" * 2000 + "1" + ")" * 2000 + "}$",
    "$\\boxed{\\sum_{k=1}^{10000000} \\frac{1}{k^2 + k + 1}}$",
    "$\\boxed{2^{100000000}}$",
]


@pytest.fixture(scope="module")
def answers() -> EquivalenceClassifier:
    return load("answers")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("Half of it, so $\\boxed{\\frac{1}{2}}$.", "By symmetry the answer is 0.5.", True),
        ("$\\boxed{x^2 + 2x + 1}$", "Thus we get $(x+1)^2$.", True),
        ("The answer is 42.", "The answer is 41.", False),
        ("$\\boxed{\\{1, 2\\}}$", "$\\boxed{\\{2, 1\\}}$", True),
        ("$\\boxed{1 < x < 2}$", "$\\boxed{(1, 2)}$", True),
        ("I cannot say.", "I cannot say, really.", False),
        ("", "The answer is 42.", False),
        ("$\\boxed{__import__('os').getcwd()}$", "The answer is 42.", False),
    ],
)
def test_equal_answers_are_equivalent_in_either_order(
    answers: EquivalenceClassifier, a: str, b: str, same: bool
) -> None:
    pairs = np.array([[0, 1], [1, 0]])
    np.testing.assert_array_equal(classify(answers, "", [a, b], pairs), [same, same])


@pytest.mark.heavy
def test_hostile_answers_cost_one_time_out_each_and_harm_nobody(
    answers: EquivalenceClassifier,
) -> None:
    classify(answers, "", ["$1$", "$2$"], all_pairs(2))  # the workers are up
    texts = [*HOSTILE, "The answer is 7.", "$\\boxed{7}$", "$\\boxed{\\frac{14}{2}}$"]
    started = time.perf_counter()
    found = classify(answers, "", texts, all_pairs(len(texts)))
    took = time.perf_counter() - started
    matrix = np.zeros((len(texts), len(texts)))
    matrix[tuple(all_pairs(len(texts)).T)] = found
    np.testing.assert_array_equal(matrix[5:, 5:], np.triu(np.ones((3, 3)), k=1))
    assert not matrix[:5, :].any()
    again = time.perf_counter()
    assert not classify(answers, "", [*HOSTILE, "new: $8$"], all_pairs(6)).any()
    # Killed and remembered: asked for again with another text, the hostile ones cost nothing.
    assert time.perf_counter() - again < max(took / 2, 5)


def test_only_the_end_of_a_long_solution_is_read(answers: EquivalenceClassifier) -> None:
    texts = ["We compute. " * 2000 + "$\\boxed{3}$", "The answer is 3."]
    plan = answers.plan("", texts, all_pairs(2))
    result = answers.run(plan.units)[0]
    assert result.truncated
    assert classify(answers, "", texts, all_pairs(2)) == [1.0]


def test_it_serves_rewards_and_survives_hostile_ones(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--model", "answers") as service, service.client() as http:
        rollouts = ["So it is $\\boxed{\\frac{1}{2}}$.", HOSTILE[0], "That makes 0.5.", "It is 2."]
        group = {"prompt": "What is 2/4?", "rollouts": rollouts, "quality": [1] * 4}
        answer = http.post("/v1/rewards", json={"groups": [group]}).json()
        assert answer["groups"][0]["partition"] == [0, 1, 0, 2]
        assert http.get("/health/ready").status_code == 200
        assert http.get("/health/live").elapsed.total_seconds() < 1


def test_without_math_verify_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darling_models.final_answers.workers.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"darling-reward\[math\]"):
        load("answers")
