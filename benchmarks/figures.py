"""The named figures of a benchmark with their spread, and the JSON that holds them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Figure:
    value: float
    """The median of the samples; `low` and `high` are the least and the greatest."""
    low: float
    high: float
    unit: str
    better: Better = "lower"

    @classmethod
    def of(cls, samples: Sequence[float], unit: str, better: Better = "lower") -> "Figure":
        return cls(float(median(samples)), float(min(samples)), float(max(samples)), unit, better)

    def __str__(self) -> str:
        spread = "" if self.low == self.high else f"  [{self.low:.4g}, {self.high:.4g}]"
        return f"{self.value:.4g} {self.unit}{spread}"


Figures = dict[str, Figure]


def ratio(others: Sequence[float], ours: Sequence[float]) -> Figure:
    """The seconds of `others` as a multiple of ours, run by run: the median, least and greatest."""
    return Figure.of([a / b for a, b in zip(others, ours, strict=True)], "times ours", "higher")


def write(path: Path, machine: dict[str, Any], figures: Figures, skipped: Sequence[str]) -> None:
    listed = {name: asdict(figure) for name, figure in figures.items()}
    document = {"machine": machine, "figures": listed, "skipped": list(skipped)}
    path.write_text(json.dumps(document, indent=2) + "\n")


def read(path: Path) -> tuple[dict[str, Any], Figures]:
    document = json.loads(path.read_text())
    figures = {name: Figure(**fields) for name, fields in document["figures"].items()}
    return document["machine"], figures
