"""The figures of one file, or of two beside each other, as a table and as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darling_models.figures.intervals import (
    Comparison,
    Interval,
    compare,
    mean_interval,
    prompt_means,
)
from darling_models.figures.tables import aligned, cell

PRECISION = ".4g"
"""Digits of a figure in the table."""
Rows = Sequence[Mapping[str, float]]
"""Each record's figures by name."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured on one file."""

    name: str
    prompts: list[str]
    rows: Rows

    def values(self, metric: str) -> list[float]:
        """Each record's figure; NaN where the record does not give it."""
        return [row.get(metric, math.nan) for row in self.rows]

    def measured(self, metric: str) -> int:
        """The number of records that give the figure."""
        return sum(not math.isnan(value) for value in self.values(metric))

    def figures(self) -> dict[str, Interval]:
        """The means over records, in the order in which they were first measured."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return {
            name: mean_interval(self.values(name), self.prompts)
            for name in names
            if self.measured(name)
        }


@dataclass(frozen=True, slots=True)
class Report:
    runs: Sequence[Run]
    figures: Sequence[Mapping[str, Interval]]
    """Each run's figures by name."""
    comparisons: Mapping[str, Comparison]
    """The second run against the first, by figure; empty for a single run."""
    notes: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """`metrics` of the first file; of a second one too, and what differs."""
        metrics = [
            {
                name: {**_mean(figure), "rows": run.measured(name)}
                for name, figure in figures.items()
            }
            for run, figures in zip(self.runs, self.figures, strict=True)
        ]
        document: dict[str, Any] = {"metrics": metrics[0], "notes": self.notes}
        if len(self.runs) == 2:
            document["second"] = {"metrics": metrics[1]}
            document["difference"] = {
                name: {**_mean(c.difference), "p_value": c.p_value, "prompts": c.prompts}
                for name, c in self.comparisons.items()
            }
            document["files"] = [run.name for run in self.runs]
        return document

    def table(self) -> str:
        head = ["metric", *(run.name for run in self.runs)]
        if self.comparisons:
            head += ["difference", "p"]
        rows = [head]
        for name in dict.fromkeys(name for figures in self.figures for name in figures):
            row = [name, *(cell(figures.get(name), PRECISION) for figures in self.figures)]
            if self.comparisons:
                row += _compared(self.comparisons.get(name))
            rows.append(row)
        return "\n".join([aligned(rows), *(f"note: {note}" for note in self.notes)])


def report(runs: Sequence[Run], notes: Sequence[str]) -> Report:
    """The figures of one run, or of two and how they differ."""
    figures = [run.figures() for run in runs]
    comparisons: dict[str, Comparison] = {}
    if len(runs) == 2:
        for name in [name for name in figures[0] if name in figures[1]]:
            first, second = (prompt_means(run.values(name), run.prompts) for run in runs)
            comparison = compare(first, second)
            if comparison.prompts:
                comparisons[name] = comparison
    return Report(runs, figures, comparisons, notes)


def _mean(interval: Interval) -> dict[str, float | None]:
    """The interval as the document names it."""
    figure = interval.as_dict()
    return {"mean": figure.pop("value"), **figure}


def _compared(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return ["-", "-"]
    return [cell(comparison.difference, PRECISION), f"{comparison.p_value:.4f}"]
