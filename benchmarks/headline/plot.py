"""Draws pass@k at the end, and pass@1, strategies and entropy over training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.headline.results import Look, Run, by_objective
from darling_models.figures.intervals import student_interval

COLOURS = {
    "quality": "black",
    "darling": "tab:red",
    "classifier": "tab:orange",
    "ngram": "tab:blue",
    "additive": "tab:green",
}


def plot_pass_at_k(runs: Sequence[Run], target: Path) -> None:
    drawn = Figure((5, 4))
    axes: Any = drawn.subplots()
    powers = [2**i for i in range(7)]
    for name, own in by_objective(runs).items():
        _line(axes, name, powers, [[run.final.pass_at(k) for run in own] for k in powers])
    axes.set_xscale("log", base=2)
    axes.set_xticks(powers, powers)
    axes.set_xlabel("k")
    axes.set_ylabel("pass@k, held-out problems")
    axes.legend()
    _save(drawn, target)


def plot_training(runs: Sequence[Run], target: Path) -> None:
    drawn = Figure((12, 3.6))
    ones, strategies, entropy = drawn.subplots(1, 3)
    for name, own in by_objective(runs).items():
        _watched(ones, name, own, lambda look: look.pass_at(1))
        _watched(strategies, name, own, lambda look: look.distinct)
        means = list(zip(*(_smooth(run.entropy) for run in own), strict=True))
        _line(entropy, name, range(len(means)), means)
    samples = runs[0].watched[0].samples
    ones.set_ylabel("pass@1, held-out problems")
    strategies.set_ylabel(f"correct strategies among {samples} samples")
    entropy.set_ylabel("entropy, nats per token")
    for axes in (ones, strategies, entropy):
        axes.set_xlabel("GRPO step")
    ones.legend()
    _save(drawn, target)


def _watched(axes: Any, name: str, own: Sequence[Run], figure: Callable[[Look], float]) -> None:
    looks = list(zip(*(run.watched for run in own), strict=True))
    _line(axes, name, [at[0].step for at in looks], [[figure(one) for one in at] for at in looks])


def _line(axes: Any, name: str, x: Sequence[int], seeds: Sequence[Sequence[float]]) -> None:
    """Draws the mean over seeds with its 95 % interval as a band; `seeds` has one list per x."""
    means = [student_interval(values) for values in seeds]
    axes.plot(x, [m.value for m in means], color=COLOURS[name], label=name)
    if len(seeds[0]) > 1:
        low, high = [m.low for m in means], [m.high for m in means]
        axes.fill_between(x, low, high, color=COLOURS[name], alpha=0.12, linewidth=0)


def _smooth(values: Sequence[float], width: int = 10) -> list[float]:
    """The moving average over each step and the `width` - 1 steps before it."""
    windows = (values[max(0, i - width + 1) : i + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _save(drawn: Figure, target: Path) -> None:
    drawn.tight_layout()
    drawn.savefig(target, dpi=80)
