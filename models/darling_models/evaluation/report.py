"""What was measured: sections of figures, as a table to read and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
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
    "wrong_merges": "wrong merges",
    "wrong_splits": "wrong splits",
    "different_merged": "different merged",
    "same_split": "same split",
    "ece": "ECE",
    "pair_f1": "pair F1",
    "adjusted_rand": "adjusted Rand",
    "v_measure": "V-measure",
    "class_error": "error in classes",
    "judged_equivalent": "judged equivalent",
    "diversity": "diversity",
    "unpaid": "diversity at most 0.05",
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
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Parts of the data side by side, such as the categories of behaviours. JSON has each part as a
    section; the table has a part in each row, a classifier in each column, and figure by figure."""

    title: str
    parts: Mapping[str, Section]
    shown: Sequence[str]
    """Keys of the figures in the table."""


@dataclass(slots=True)
class Report:
    model: ModelInfo
    notes: list[str] = field(default_factory=list)
    sections: list[Section | Breakdown] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.as_dict(),
            "notes": self.notes,
            "sections": [
                {
                    "title": section.title,
                    "count": section.count,
                    "unit": section.unit,
                    "notes": section.notes,
                    "figures": {
                        name: {key: interval.as_dict() for key, interval in figures.items()}
                        for name, figures in section.figures.items()
                    },
                }
                for section in self._flat()
            ],
        }

    def _flat(self) -> Iterator[Section]:
        for section in self.sections:
            if isinstance(section, Breakdown):
                yield from section.parts.values()
            else:
                yield section

    def table(self) -> str:
        head = [f"{self.model.id}@{self.model.revision}: {self.model.description}"]
        head += [f"note: {note}" for note in self.notes]
        return "\n".join(
            head
            + [
                _breakdown(each) if isinstance(each, Breakdown) else _section(each)
                for each in self.sections
            ]
        )


def _breakdown(breakdown: Breakdown) -> str:
    sections = breakdown.parts.values()
    names = list(next(iter(sections)).figures)
    tables = []
    for key in breakdown.shown:
        rows = [["", *names]]
        for name, part in breakdown.parts.items():
            figures = (part.figures[contender].get(key) for contender in names)
            rows.append([f"{name} ({part.count})", *map(cell, figures)])
        tables.append(f"\n{breakdown.title}: {SHOWN[key]}\n" + aligned(rows))
    return "\n".join(tables)


def _section(section: Section) -> str:
    columns = [key for key in SHOWN if any(key in row for row in section.figures.values())]
    rows = [["", *(SHOWN[key] for key in columns)]]
    for name, figures in section.figures.items():
        rows.append([name, *(cell(figures.get(key)) for key in columns)])
    notes = "".join(f"\nnote: {note}" for note in section.notes)
    return f"\n{section.title} ({section.count} {section.unit})\n{aligned(rows)}{notes}"
