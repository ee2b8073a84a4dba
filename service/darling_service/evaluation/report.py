"""The figures of one file, or of two beside each other, as a table and as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from darling_service.evaluation.metrics.intervals import (
    Difference,
    Estimate,
    compare,
    estimate,
    prompt_means,
)

Rows = Sequence[Mapping[str, float]]
"""Each record's figures by name."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured on one file."""

    name: str
    prompts: list[str]
    rows: Rows

    def values(self, metric: str) -> list[float]:
        """Of each record; NaN where it does not give the figure."""
        return [row.get(metric, math.nan) for row in self.rows]

    def metrics(self) -> list[str]:
        """In the order in which they were first measured."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def estimates(self) -> dict[str, Estimate]:
        found = {name: estimate(self.values(name), self.prompts) for name in self.metrics()}
        return {name: figure for name, figure in found.items() if figure.rows}


@dataclass(frozen=True, slots=True)
class Report:
    runs: Sequence[Run]
    estimates: Sequence[Mapping[str, Estimate]]
    differences: Mapping[str, Difference]
    """Second run minus first; empty for a single run."""
    notes: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """`metrics` of the first file; of a second one too, and what differs."""
        document: dict[str, Any] = {"metrics": _plain(self.estimates[0]), "notes": self.notes}
        if len(self.runs) == 2:
            document["second"] = {"metrics": _plain(self.estimates[1])}
            document["difference"] = _plain(self.differences)
            document["files"] = [run.name for run in self.runs]
        return document

    def table(self) -> str:
        head = ["metric", *(run.name for run in self.runs)]
        if self.differences:
            head += ["difference", "p"]
        rows = [head]
        for name in dict.fromkeys(name for figures in self.estimates for name in figures):
            row = [name, *(_cell(figures.get(name)) for figures in self.estimates)]
            if self.differences:
                difference = self.differences.get(name)
                row += [_cell(difference), "-" if difference is None else _p(difference.p_value)]
            rows.append(row)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def report(runs: Sequence[Run], notes: Sequence[str]) -> Report:
    estimates = [run.estimates() for run in runs]
    differences: dict[str, Difference] = {}
    if len(runs) == 2:
        for name in estimates[0].keys() & estimates[1].keys():
            means = [prompt_means(run.values(name), run.prompts) for run in runs]
            difference = compare(means[0], means[1])
            if difference.prompts:
                differences[name] = difference
    return Report(runs, estimates, differences, notes)


def _plain(figures: Mapping[str, Estimate] | Mapping[str, Difference]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {
        name: {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(figure).items()
        }
        for name, figure in figures.items()
    }


def _cell(figure: Estimate | Difference | None) -> str:
    if figure is None:
        return "-"
    if math.isnan(figure.low):
        return f"{figure.mean:.4g}"
    return f"{figure.mean:.4g} [{figure.low:.4g}, {figure.high:.4g}]"


def _p(value: float) -> str:
    return f"{value:.4f}"
