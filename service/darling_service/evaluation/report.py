"""The figures of one file, or of two beside each other, as a table and as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darling_models.figures.comparison import Comparison, compare
from darling_models.figures.intervals import FEW, Interval, mean_interval, prompt_means
from darling_models.figures.tables import aligned, cell
from darling_service.evaluation.measure import LOWER_IS_BETTER
from darling_service.evaluation.verdict import verdict

PRECISION = ".4g"
"""Digits of a figure in the table."""
MARK = "*"
"""What stands behind an interval of fewer than `FEW` prompts."""
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

    def has_few(self, metric: str) -> bool:
        """Whether so few prompts give the figure that its interval is too narrow."""
        return 1 < len(prompt_means(self.values(metric), self.prompts)) < FEW

    def figures(self) -> dict[str, Interval]:
        """The means over records, in the order in which they were first measured."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return {name: mean_interval(self.values(name), self.prompts) for name in names}


@dataclass(frozen=True, slots=True)
class Report:
    runs: Sequence[Run]
    figures: Sequence[Mapping[str, Interval]]
    """Each run's figures by name."""
    comparisons: Mapping[str, Comparison]
    """The second run against the first, by figure; empty for a single run."""
    notes: Sequence[str]

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for figures in self.figures for name in figures))

    def verdict(self) -> str | None:
        """The comparison in a sentence or two; None for a single run."""
        if len(self.runs) < 2:
            return None
        return verdict(self.runs[0].name, self.runs[1].name, self.comparisons)

    def as_dict(self) -> dict[str, Any]:
        """`metrics` of the first file; of a second one too, and what differs."""
        metrics = [
            {
                name: {
                    **_mean(figure),
                    "rows": run.measured(name),
                    "better": "lower" if name in LOWER_IS_BETTER else "higher",
                }
                for name, figure in figures.items()
            }
            for run, figures in zip(self.runs, self.figures, strict=True)
        ]
        document: dict[str, Any] = {
            "metrics": metrics[0],
            "records": len(self.runs[0].rows),
            "notes": self.notes,
        }
        if len(self.runs) == 2:
            document["second"] = {"metrics": metrics[1], "records": len(self.runs[1].rows)}
            document["difference"] = {
                name: {**_mean(c.difference), "p_value": c.p_value, "prompts": c.prompts}
                for name, c in self.comparisons.items()
            }
            document["files"] = [run.name for run in self.runs]
            document["verdict"] = self.verdict()
        return document

    def table(self) -> str:
        """A row for each figure: its direction of better, then each file's mean, interval and
        number of records that gave it, then the difference."""
        compared = len(self.runs) == 2
        head = ["metric", *(cell for run in self.runs for cell in (run.name, "rows"))]
        rows = [[*head, *(("difference", "p", "prompts") if compared else ())]]
        for name in self.names():
            row = [f"{name} {'↓' if name in LOWER_IS_BETTER else '↑'}"]
            for run, figures in zip(self.runs, self.figures, strict=True):
                mark = MARK if run.has_few(name) else ""
                row.append(cell(figures.get(name), PRECISION) + mark)
                row.append(f"{run.measured(name)}/{len(run.rows)}")
            rows.append(row + (_compared(self.comparisons.get(name)) if compared else []))
        lines = [aligned(rows), "↑ more is better, ↓ less is better"]
        if any(run.has_few(name) for run in self.runs for name in self.names()):
            lines.append(
                f"{MARK} fewer than {FEW} prompts: the true mean lies outside such intervals more "
                "often than in 5 % of cases"
            )
        lines += [f"note: {note}" for note in self.notes]
        if (sentence := self.verdict()) is not None:
            lines.append(f"verdict: {sentence}")
        return "\n".join(lines)


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
        return ["-", "-", "0"]
    return [
        cell(comparison.difference, PRECISION) + (MARK if 1 < comparison.prompts < FEW else ""),
        f"{comparison.p_value:.4f}",
        str(comparison.prompts),
    ]
