"""The headline experiment's own parts: task, normal form, demonstrations, statistics."""

import json
import random
from pathlib import Path

import pytest

from benchmarks.headline.countdown import canonical, correct, parsed, problems, shuffled
from benchmarks.headline.demonstrations import Demonstrator, Habit
from benchmarks.headline.objectives import OBJECTIVES
from benchmarks.headline.plot import plot_pass_at_k, plot_training
from benchmarks.headline.results import differences, load, table
from benchmarks.headline.settings import FULL, SMALL, Settings
from darling_client.trainers._request import Request
from darling_models.figures.intervals import student_interval
from darling_service.schemas.parse import parse
from darling_service.schemas.requests import RewardRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 * 8 - 3", "8 * 2 - 3"),
        ("3 + 5 * 2", "5 * 2 + 3"),
        ("9 - 2 + 4 - 1", "9 + 4 - 1 - 2"),
        ("1 * 2 * 3", "3 * 2 * 1"),
        ("3 + + 5", "3 + + 5"),
        ("", ""),
    ],
)
def test_the_normal_form(text: str, expected: str) -> None:
    found = canonical(text)
    assert sorted(found.split()) == sorted(expected.split())
    if found != text:
        assert eval(found) == eval(expected) == eval(text)
    assert canonical(expected) == found
    assert canonical(found) == found


def test_forms_that_commutativity_and_associativity_make_one() -> None:
    same = ["3 + 5 * 2 - 1", "2 * 5 - 1 + 3", "5 * 2 + 3 - 1", "3 - 1 + 5 * 2"]
    assert len({canonical(text) for text in same}) == 1
    assert len({canonical(text) for text in ("3 - 1", "1 - 3", "3 + 1", "3 * 1")}) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 + 8", True),
        ("8 * 2 - 3", True),
        ("8 + 3 + 2", True),
        ("5 + 5 + 3", False),
        ("9 + 4", False),
        ("13", False),
        ("8 + 5 +", False),
        ("8 + 5 = 13", False),
        ("", False),
        ("8 5 + 3", False),
    ],
)
def test_what_is_correct(text: str, expected: bool) -> None:
    numbers, target = parsed("1 2 3 5 8 = 13 :")
    assert (numbers, target) == ([1, 2, 3, 5, 8], 13)
    assert correct(numbers, target, text) is expected


def test_every_strategy_is_correct_in_any_order_and_counted_once() -> None:
    source = random.Random(0)
    assert len(problems()) == 3753
    for problem in source.sample(problems(), 300):
        assert len(set(problem.strategies)) == len(problem.strategies) > 0
        for strategy in problem.strategies:
            text = shuffled(strategy, source)
            assert eval(text) == problem.target
            assert correct(problem.numbers, problem.target, text)
            assert canonical(text) == strategy


def test_demonstrations_are_wrong_as_often_as_they_slip() -> None:
    source = random.Random(0)
    demonstrator = Demonstrator(problems(), Habit(slips=0.3))
    shown = source.choices(problems(), k=3000)
    right = [correct(p.numbers, p.target, demonstrator.answer(p, source)) for p in shown]
    # A neighbour that does not exist is no slip.
    assert 0.68 <= sum(right) / len(right) <= 0.76


def test_a_split_is_the_seeds_own_and_shares_nothing() -> None:
    training, held_out = SMALL.split(1)
    assert (training, held_out) == SMALL.split(1)
    assert held_out != SMALL.split(2)[1]
    assert not {p.prompt for p in training} & {p.prompt for p in held_out}


def test_settings_come_back(tmp_path: Path) -> None:
    FULL.write(tmp_path / "settings.json")
    assert Settings.read(tmp_path / "settings.json") == FULL != SMALL


def test_the_interval_is_students() -> None:
    interval = student_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert interval.value == 3.0
    half = 1.9632  # 2.7764 * sqrt(2.5 / 5)
    assert (interval.low, interval.high) == pytest.approx((3 - half, 3 + half), abs=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_one_that_the_adapter_and_the_service_take(name: str) -> None:
    sent = Request(OBJECTIVES[name].asked).params()
    group = {"prompt": "p", "rollouts": ["a"] * 8, "quality": [1.0] * 8}
    request = {field: value for field, value in sent.items() if value is not None}
    parse(json.dumps(request | {"groups": [group]}).encode(), RewardRequest)


def store(folder: Path, objective: str, seed: int, strategies: list[list[int]]) -> None:
    look = {"step": 0, "samples": 4, "strategies": strategies}
    run = {
        "objective": objective,
        "seed": seed,
        "samples": 128,
        "strategies": strategies,
        "watched": [look, look | {"step": 2}],
        "training": {"entropy": [1.0, 0.5]},
    }
    (folder / f"{objective}-{seed}.json").write_text(json.dumps(run))


def test_differences_are_paired_by_seed_and_drawn(tmp_path: Path) -> None:
    for seed in range(2):
        store(tmp_path, "quality", seed, [[seed], []])
        store(tmp_path, "darling", seed, [[seed, 1], [1]])
    store(tmp_path, "ngram", 7, [[1], [1]])
    SMALL.write(tmp_path / "settings.json")
    runs = load(tmp_path)
    assert [run.objective for run in runs] == ["quality"] * 2 + ["darling"] * 2 + ["ngram"]
    assert runs[2].final.pass_at(1) == pytest.approx(1 / 128)
    assert runs[2].final.pass_at(128) == 1.0
    gains = differences(runs, "darling", lambda run: run.final.pass_at(1))
    assert gains == pytest.approx([1 / 128, 1 / 128])
    text = table(runs)
    assert "| darling − quality | +0.008 [+0.008, +0.008] |" in text
    assert "ngram − quality" not in text, "no seed in common"
    plot_pass_at_k(runs, tmp_path / "pass.png")
    plot_training(runs, tmp_path / "training.png")
    assert (tmp_path / "pass.png").stat().st_size > 1000
