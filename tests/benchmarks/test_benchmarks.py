"""The benchmarks' own arithmetic: spread, comparison, counted operations, texts nobody has seen."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.accelerator import SIZES, Race, outside_windows
from benchmarks.compare import changed
from benchmarks.figures import Figure, Figures, ratio, read, write
from benchmarks.machine import operations
from benchmarks.workloads import Workload
from tests.models.test_packed import SIZE, sequence, with_threads


def test_ratios_are_of_paired_runs() -> None:
    found = ratio([2.0, 9.0, 4.0], [1.0, 3.0, 1.0])
    assert (found.value, found.low, found.high) == (3.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("old", "new", "better", "expected"),
    [
        ([1.0], [1.05], "lower", 0),
        ([1.0], [1.3], "lower", -1),
        ([1.0], [1.3], "higher", 1),
        ([1.0], [0.7], "lower", 1),
        ([1.0], [0.9, 1.3, 1.4], "lower", 0),
    ],
)
def test_a_change_is_more_than_tolerance_and_noise(
    old: list[float], new: list[float], better: str, expected: int
) -> None:
    before, after = (Figure.of(samples, "s", better) for samples in (old, new))  # type: ignore[arg-type]
    assert changed(before, after, tolerance=0.1) == expected


def test_the_comparison_names_what_got_worse(tmp_path: Path) -> None:
    old: Figures = {
        "latency": Figure.of([1.0], "ms"),
        "rate": Figure.of([5.0], "a second", "higher"),
    }
    new = old | {"rate": Figure.of([3.0], "a second", "higher")}
    for name, figures in (("old", old), ("new", new)):
        write(tmp_path / name, {"cpu": "one"}, figures, [])
    assert read(tmp_path / "old")[1] == old
    command = [sys.executable, "-m", "benchmarks.compare", str(tmp_path / "old")]
    run = subprocess.run([*command, str(tmp_path / "new")], capture_output=True, text=True)
    assert run.returncode == 1
    assert "worse   rate" in run.stdout
    assert "latency" not in run.stdout
    same = subprocess.run([*command, str(tmp_path / "old")], capture_output=True)
    assert same.returncode == 0


def test_groups_are_new_distinct_and_of_the_length_asked_for() -> None:
    for collapsed in (False, True):
        workload = Workload(16, 100, collapsed)
        texts = [text for _ in range(3) for text in workload.group()[1]]
        assert len(set(texts)) == 48
        assert 60 <= min(len(t.split()) for t in texts) <= max(len(t.split()) for t in texts) <= 140


@pytest.mark.processor
def test_counted_operations_are_those_of_the_architecture() -> None:
    lengths = (32, 96)  # in one pack without a row of padding, whatever kernels a machine takes
    bert = with_threads(1, torch.float32)
    counted = operations(lambda: list(bert.hidden([sequence(length) for length in lengths])))
    hidden, inner, layers = (
        SIZE[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    linear = 2 * sum(lengths) * (4 * hidden * hidden + 2 * hidden * inner)
    attention = sum(4 * length * length * hidden for length in lengths)
    assert counted == layers * (linear + attention)


@pytest.mark.processor
@pytest.mark.heavy
@pytest.mark.parametrize("name", SIZES)
def test_the_accelerator_race_runs_each_architecture_on_any_device(name: str) -> None:
    """Here with small layers on the CPU: both sides decide alike, and useful work is counted."""
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    race = Race(SIZES[name] | small | {"intermediate_size": 64}, "cpu", 1, 30)
    figures = race.rounds(0)
    assert figures["decisions as padded"].value == 1
    assert figures["other bits in smaller company"].value == 0
    assert figures["ours"].value > 0
    assert 0 < figures["share of the matmul peak"].value < 1
    assert list(race.all_pairs(2)) == ["all 56 pairs of 2 groups of 8"]


def test_operations_outside_of_a_window_are_those_of_the_pairs_that_it_leaves_out() -> None:
    kinds = ["full_attention", "sliding_attention", "sliding_attention"]
    config = SimpleNamespace(layer_types=kinds, sliding_window=3, hidden_size=8)
    apart = [abs(i - j) > 3 for i in range(10) for j in range(10)]
    assert outside_windows(config, 10) == 2 * 4 * 8 * sum(apart)
    assert outside_windows(config, 4) == 0
    assert outside_windows(SimpleNamespace(hidden_size=8), 10) == 0
