"""Equal final answers, among them ones made to burn the verifier's time."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from darling_models.errors import ModelError, ModelUnavailable
from darling_models.final_answers.classifier import Answers
from darling_models.final_answers.worker import CPU_SECONDS
from darling_models.final_answers.workers import NAME, Workers
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


def test_a_long_solution_is_read_to_its_end(answers: EquivalenceClassifier) -> None:
    texts = ["We compute. " * 2000 + "$\\boxed{3}$", "The answer is 3.", "<think>" + "a " * 9000]
    assert classify(answers, "", texts, all_pairs(3)).tolist() == [1.0, 0.0, 0.0]


FALSE_POSITIVES = [
    # Math-Verify#82: numbers inside formulas that cannot be parsed
    (r"1 - \frac{1}{\mathrm{e}}", r"1 + \frac{1}{\mathrm{e}}"),
    (r"1, 2, \ldots, n", r"1, 3, 5, \ldots, 2n-1"),
    (r"1:2:3:\ldots", r"1:4:9:\ldots"),
    # Math-Verify#41
    ("4", r"4\sqrt(2)"),
    # Math-Verify#14: small numbers, equations by their right sides, sets by one element
    (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
    (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"),
    (r"\frac{2^{2005}+1}{3 \cdot 2^{2006}}", r"\frac{1}{3 \cdot 2^{2006}}"),
    ("0.0000001", "0.0000002"),
    (r"x = \frac{1}{2^{99}}", r"x = \frac{1}{2^{98}}"),
    (r"\{1/2^{99}\}", r"\{1/2^{98}\}"),
    ("n=2, 3, 4", "n=1, 2, 3"),
    ("D = (0, 1)", "D = (0, 1.5)"),
    (r"19, 46, \text{ and } 82", "21, 36, and 82"),
    (r"\pm 2021", "2021"),
    ("12:00", "1:00"),
    # Math-Verify#47, #60, #81
    ("1331 and 1728", "1728"),
    ("3*x-1*y+13=0", "3x + 4y + 14=0"),
    ("2 2/3", "2"),
    ("4 10/3", "10"),
    # words as products of letters, and numbers in sentences
    ("silent", "listen"),
    ("not 42", "42"),
    ("42 or 43", "42"),
    ("5 million", "5"),
    ("3 hours and 20 minutes", "3"),
    ("at most 7", "7"),
]
TRUE_POSITIVES = [
    ("0.5", r"\frac12"),
    ("0.333333", "1/3"),
    ("2 2/3", "8/3"),
    ("20\\%", "0.2"),
    ("20\\%", "20"),
    ("x = 2 or x = 3", r"\{3, 2\}"),
    (r"$x=2$ and $x=3$", r"\{2, 3\}"),
    ("1,234", "1234.0"),
    ("42 cm", "42"),
    (r"42 \text{ apples}", "42"),
    (r"12 \text{ cm}^2", "12"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    ("60 mph", "60"),
    ("\u2212 5", "-5"),
    ("x>3", "3<x"),
    (r"\sin x", r"\sin(x)"),
    ("42.", "42"),
]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [(*pair, False) for pair in FALSE_POSITIVES] + [(*pair, True) for pair in TRUE_POSITIVES],
)
def test_math_verify_is_asked_about_whole_answers(
    answers: EquivalenceClassifier, a: str, b: str, same: bool
) -> None:
    texts = [f"We see it.\n**Answer:** {a}", f"\\boxed{{{b}}}"]
    assert classify(answers, "", texts, all_pairs(2)) == [same]


def test_what_stands_in_reasoning_is_no_answer(answers: EquivalenceClassifier) -> None:
    texts = [r"<think>\boxed{7}</think>It is 42.", r"<think>\boxed{7}", r"\boxed{7}", "42"]
    found = classify(answers, "", texts, all_pairs(4)).tolist()
    assert found == [0, 0, 1, 0, 0, 0]


def worker_pids() -> list[int]:
    """Services of the tests are children too."""
    children = [child for child in multiprocessing.active_children() if child.name == NAME]
    return [child.pid for child in children if child.pid is not None]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Workers that nobody else asks, started, with a short limit for a standstill."""
    monkeypatch.setattr("darling_models.final_answers.workers.STANDSTILL_S", 2.0)
    before = set(worker_pids())
    pool = Workers()
    assert pool.ask("1", "1")
    assert pool.ask("2", "2")  # the queue hands out each worker in turn
    yield pool
    for pid in set(worker_pids()) - before:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSTOP", "SIGSEGV"])
def test_a_worker_that_ends_by_a_signal_is_no_verdict(workers: Workers, name: str) -> None:
    for pid in worker_pids():
        os.kill(pid, getattr(signal, name))
    for _ in range(2):
        assert workers.ask("1/2", "0.5")
        assert not workers.ask("1/2", "0.25")


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_a_worker_that_ends_in_every_try_is_a_failure_and_not_remembered(
    workers: Workers, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each signal comes while the workers compute, so that their question is under way."""
    answers = Answers()
    classify(answers, "", ["$1$", "$2$"], all_pairs(2))
    texts = [r"\boxed{\frac{1}{2}}", r"\boxed{0.5}"]
    plan = answers.plan("", texts, all_pairs(2))
    attack = threading.Event()

    def strike() -> None:
        while not attack.wait(0.005):
            for pid in worker_pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, getattr(signal, name))

    striker = threading.Thread(target=strike)
    striker.start()
    started = time.monotonic()
    try:
        with pytest.raises(ModelUnavailable, match="compare final answers"):
            answers.run(plan.units)
    finally:
        attack.set()
        striker.join()
    assert time.monotonic() - started < 60
    assert [result.probability for result in answers.run(plan.units)] == [1.0]


@pytest.mark.heavy
def test_used_up_cpu_time_is_a_verdict_without_a_second_try(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    assert workers.ask("9^{9^{9^9}}") is False
    (record,) = caplog.records
    assert f"cannot be compared in {CPU_SECONDS} s of CPU time" in record.getMessage()


TOWERS = [f"{base}^{{9^{{9^{{9}}}}}}" for base in range(2, 6)]


@pytest.fixture
def pool() -> Iterator[Workers]:
    """Workers that nobody else asks."""
    before = set(worker_pids())
    yield Workers()
    for pid in set(worker_pids()) - before:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.heavy
def test_hostile_answers_let_good_ones_pass_and_are_computed_once(
    pool: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    hostile = [pool.submit(str(i), tower) for i, tower in enumerate(TOWERS)]
    good = [pool.submit("1/2", f"{n}/{2 * n}") for n in range(2, 12)]
    assert all(verdict.result() for verdict in good)
    assert sum(verdict.done() for verdict in hostile) <= 2, "they had not all their time before"
    assert not any(verdict.result() for verdict in hostile)
    assert len(caplog.records) == len(TOWERS), "each once"
    assert not any(pool.ask("another label", tower) for tower in TOWERS)
    assert len(caplog.records) == len(TOWERS)
    assert pool.ask("1", "2/2"), "a label that hostile answers were compared with is fine"


@pytest.mark.heavy
def test_hostile_answers_have_an_end_while_good_ones_keep_coming(
    pool: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darling_models.final_answers.workers.MAX_SLOW_WAIT_S", 1.0)
    tower = pool.submit("1", TOWERS[0])
    count = 2
    while not tower.done():
        for verdict in [pool.submit("1/2", f"{count + i}/{2 * (count + i)}") for i in range(50)]:
            assert verdict.result()
        count += 50
    assert tower.result() is False


def test_it_serves_rewards_and_survives_hostile_ones(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--model", "answers") as service, service.client() as http:
        rollouts = ["So it is $\\boxed{\\frac{1}{2}}$.", HOSTILE[0], "That makes 0.5.", "It is 2."]
        group = {"prompt": "What is 2/4?", "rollouts": rollouts, "quality": [1] * 4}
        answer = http.post("/v1/rewards", json={"groups": [group]}).json()
        assert answer["groups"][0]["partition"] == [0, 1, 0, 2]
        assert http.get("/health/ready").status_code == 200
        assert http.get("/health/live").elapsed.total_seconds() < 1


def test_without_math_verify_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darling_models.extras.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install '\.\[math\]'"):
        load("answers")
