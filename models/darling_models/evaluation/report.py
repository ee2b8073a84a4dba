"""What was measured: sections of figures, as a table to read and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from darling_models.figures.intervals import Interval
from darling_models.figures.tables import aligned, cell
from darling_models.protocol import ModelInfo

Figures = Mapping[str, Interval]

SHOWN = {
    "auc": "AUC",
    "average_precision": "AP",
    "accuracy": "accuracy",
    "f1": "F1",
    "ece": "ECE",
    "pair_f1": "pair F1",
    "adjusted_rand": "adjusted Rand",
    "v_measure": "V-measure",
    "class_error": "error in classes",
    "judged_equivalent": "judged equivalent",
}
"""Columns of the table; JSON has every figure."""
BASELINE_NOTES = (
    "a baseline's score is a similarity, not a probability, so its ECE says little.",
    "the thresholds of unigram, ngram, tfidf and minilm were chosen on NoveltyBench's human pairs; "
    "there their accuracy and F1 are in-sample, their AUC is not.",
)


@dataclass(frozen=True, slots=True)
class Section:
    """One set of labelled data and each classifier's figures on it."""

    title: str
    count: int
    unit: str
    figures: Mapping[str, Figures]
    """Figures of each classifier by its name, the measured one first."""


@dataclass(slots=True)
class Report:
    model: ModelInfo
    notes: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.as_dict(),
            "notes": self.notes,
            "sections": [
                {
                    "title": section.title,
                    "count": section.count,
                    "unit": section.unit,
                    "figures": {
                        name: {key: interval.as_dict() for key, interval in figures.items()}
                        for name, figures in section.figures.items()
                    },
                }
                for section in self.sections
            ],
        }

    def table(self) -> str:
        head = [f"{self.model.id}@{self.model.revision}: {self.model.description}"]
        head += [f"note: {note}" for note in self.notes]
        return "\n".join(head + [_section(section) for section in self.sections])


def _section(section: Section) -> str:
    columns = [key for key in SHOWN if any(key in row for row in section.figures.values())]
    rows = [["", *(SHOWN[key] for key in columns)]]
    for name, figures in section.figures.items():
        rows.append([name, *(cell(figures.get(key)) for key in columns)])
    return f"\n{section.title} ({section.count} {section.unit})\n" + aligned(rows)
