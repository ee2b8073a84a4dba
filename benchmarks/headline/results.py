"""The figures of finished runs, and the difference of each objective to quality alone."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.headline.objectives import OBJECTIVES
from darling_models.figures.intervals import student_interval
from darling_service.evaluation.metrics.success import pass_at_k

BASELINE = "quality"


@dataclass(frozen=True)
class Look:
    """The correct strategies found on the held-out problems after `step` steps."""

    step: int
    samples: int
    """Samples of each problem."""
    strategies: list[list[int]]
    """For each problem, how many samples gave each correct strategy."""

    def pass_at(self, k: int) -> float:
        return fmean(pass_at_k(self.samples, sum(sizes), k) for sizes in self.strategies)

    @property
    def distinct(self) -> float:
        """Mean number of different correct strategies found per problem."""
        return fmean(len(sizes) for sizes in self.strategies)


@dataclass(frozen=True)
class Run:
    objective: str
    seed: int
    final: Look
    watched: list[Look]
    entropy: list[float]
    """The policy's entropy at each step on its samples of training problems, in nats per token."""


Figure = Callable[[Run], float]

FIGURES: dict[str, Figure] = {
    "pass@1": lambda run: run.final.pass_at(1),
    "pass@4": lambda run: run.final.pass_at(4),
    "pass@16": lambda run: run.final.pass_at(16),
    "pass@64": lambda run: run.final.pass_at(64),
    "strategies": lambda run: run.final.distinct,
    "entropy": lambda run: fmean(run.entropy[-20:]),
}


def load(folder: Path) -> list[Run]:
    """The finished runs of a folder, in the order of `OBJECTIVES`, then of their seeds."""
    runs = []
    for file in folder.glob("*-*.json"):
        stored = json.loads(file.read_text())
        steps = len(stored["training"]["entropy"])
        runs.append(
            Run(
                stored["objective"],
                stored["seed"],
                Look(steps, stored["samples"], stored["strategies"]),
                [Look(**look) for look in stored["watched"]],
                stored["training"]["entropy"],
            )
        )
    order = list(OBJECTIVES)
    return sorted(runs, key=lambda run: (order.index(run.objective), run.seed))


def by_objective(runs: Sequence[Run]) -> dict[str, list[Run]]:
    return {name: own for name in OBJECTIVES if (own := [r for r in runs if r.objective == name])}


def differences(runs: Sequence[Run], objective: str, figure: Figure) -> list[float]:
    """Objective minus quality alone, for each seed that has both: same warm policy and problems."""
    base = {run.seed: figure(run) for run in runs if run.objective == BASELINE}
    own = {run.seed: figure(run) for run in runs if run.objective == objective}
    return [own[seed] - base[seed] for seed in sorted(base.keys() & own.keys())]


def table(runs: Sequence[Run]) -> str:
    """Two Markdown tables: the means over seeds, and the paired differences to quality alone."""
    groups = by_objective(runs)
    head = f"| | {' | '.join(FIGURES)} |\n|---|{'---|' * len(FIGURES)}\n"
    means = "".join(
        _row(name, [_mean([figure(run) for run in own]) for figure in FIGURES.values()])
        for name, own in groups.items()
    )
    gains = "".join(
        _row(
            f"{name} − {BASELINE}",
            [
                f"{student_interval(differences(runs, name, figure)):+.3f}"
                for figure in FIGURES.values()
            ],
        )
        for name in groups
        if name != BASELINE and differences(runs, name, FIGURES["pass@1"])
    )
    return f"{head}{_row('warm policy', _warm(groups))}{means}\n{head}{gains}"


def _warm(groups: dict[str, list[Run]]) -> list[str]:
    """The table row of the warm policy, which all objectives start from."""
    first = [run.watched[0] for run in next(iter(groups.values()))]
    cells = []
    for name in FIGURES:
        k = int(name.removeprefix("pass@")) if name.startswith("pass@") else 0
        known = 0 < k <= first[0].samples
        cells.append(_mean([look.pass_at(k) for look in first]) if known else "")
    return cells


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |\n"


def _mean(values: Sequence[float]) -> str:
    interval = student_interval(values)
    return f"{interval.value:.3f} ± {interval.high - interval.value:.3f}"
