"""Files of rollout groups, with the field names that trainers and benchmarks use.

Each line is a JSON object. Its rollouts are in `rollouts`, `generations` or `responses` (texts,
chat messages, or objects as in /v1/rewards). Columns with one value per rollout may stand beside
them: `quality` (or `reward_model_scores`), `correct`, `answers`, and NoveltyBench's `partition` and
`generation_scores`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darling_models import json_lines
from darling_models.texts.rule import TextRule
from darling_service.evaluation.texts import compared_texts
from darling_service.rewards.quality import from_reference

TEXTS = ("rollouts", "generations", "responses")
PROMPTS = ("prompt", "question", "problem")
QUALITY = ("quality", "reward_model_scores", "rewards")
REFERENCES = ("reference", "ground_truth")


@dataclass(frozen=True, slots=True)
class Record:
    """One prompt's rollouts and their columns; a column is None where a value is missing."""

    prompt: str
    texts: list[str]
    """What of each rollout counts, by the option `text`."""
    quality: list[float] | None
    correct: list[bool] | None
    answers: list[str] | None
    partition: list[int] | None
    generation_scores: list[float] | None
    """NoveltyBench's scores: the quality of the first rollout of each class, 0 for repeats."""


def read(path: Path, rule: TextRule = "answer") -> list[Record]:
    """The records of a file; `rule` says which text of a rollout counts.

    Raises `OSError`, and `ValueError` naming the line and the field.
    """
    records = json_lines.read(path, lambda row: _record(row, rule))
    if not records:
        raise ValueError(f"{path} holds no records")
    return records


def _record(row: Mapping[str, Any], rule: TextRule) -> Record:
    rollouts = _first(row, TEXTS)
    if not isinstance(rollouts, list) or not rollouts:
        raise ValueError(f"has no list of rollouts; add one in one of {', '.join(TEXTS)}")
    n = len(rollouts)
    prompt, texts = compared_texts(_first(row, PROMPTS), rollouts, rule)
    objects = [r if isinstance(r, dict) else {} for r in rollouts]
    answers = _column(row, objects, ("answers",), "answer", n)
    correct = _column(row, objects, ("correct",), "correct", n)
    reference = _first(row, REFERENCES)
    if correct is None and answers is not None and reference is not None:
        correct = [c == 1 for c in from_reference([str(a) for a in answers], str(reference))]
    return Record(
        prompt=prompt,
        texts=texts,
        quality=_numbers(_column(row, objects, QUALITY, "quality", n)),
        correct=None if correct is None else [bool(c) for c in correct],
        answers=None if answers is None else [str(a) for a in answers],
        partition=_partition(_column(row, objects, ("partition",), "class", n)),
        generation_scores=_numbers(_column(row, objects, ("generation_scores",), "", n)),
    )


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _column(
    row: Mapping[str, Any],
    rollouts: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    own: str,
    n: int,
) -> list[Any] | None:
    """A column of the row, or the field `own` of every rollout; None if a value is missing."""
    column = _first(row, names)
    if column is None:
        values = [rollout.get(own) for rollout in rollouts]
        return None if any(value is None for value in values) else values
    if not isinstance(column, list) or len(column) != n:
        raise ValueError(f"{names[0]} must hold one value for each of the {n} rollouts")
    return None if any(value is None for value in column) else column


def _numbers(column: list[Any] | None) -> list[float] | None:
    """Numbers as floats. The published maths files hold each score in a list of one."""
    if column is None:
        return None
    return [float(v[0] if isinstance(v, list) and len(v) == 1 else v) for v in column]


def _partition(column: list[Any] | None) -> list[int] | None:
    return None if column is None else [int(value) for value in column]
