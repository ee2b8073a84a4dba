"""Groups of a file, classified to be looked at: the files that `darling-reward evaluate` reads.

A line's own `partition` is shown without a model, as an evaluation takes it. Other lines are scored
as /v1/rewards would with its default options; a line without quality earns its diversity alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from darling_models import json_lines
from darling_models.errors import ModelError
from darling_models.fields import named
from darling_models.texts.rule import TextRule
from darling_service.evaluation.records import Record, record_of
from darling_service.history.recorded import MAX_STEP
from darling_service.in_command import Unanswered, answers
from darling_service.looking.group import ShownGroup, ShownRollout
from darling_service.pipeline import Pipeline
from darling_service.rewards.diversity import partition_diversity
from darling_service.schemas.requests import Group, PartitionOptions, RewardRequest
from darling_service.schemas.responses import RewardResponse
from darling_service.schemas.reward_options import RewardOptions
from darling_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file of groups."""

    number: int
    name: str
    step: int | None
    """The training step, where the line says it."""
    record: Record


def read_lines(path: Path, rule: TextRule, first: int = 1, count: int | None = None) -> list[Line]:
    """`count` groups from the line `first` on; None: all of them.

    `rule` says what of each rollout is compared. Raises `OSError`, and `ValueError` naming the line
    that holds no group, or if no line is left to show.
    """

    def make(row: Mapping[str, Any]) -> tuple[str | None, int | None, Record]:
        name, step = row.get("id"), row.get("step")
        return (
            None if name is None else str(name),
            None if step is None else named("step", _step, step),
            record_of(row, rule),
        )

    rows = (row for row in json_lines.each(path, make) if row[0] >= first)
    lines = [
        Line(number, name or f"line {number}", step, record)
        for number, (name, step, record) in islice(rows, count)
    ]
    if not lines:
        raise ValueError(
            f"{path} has no group from line {first} on; choose an earlier one, or another file"
        )
    return lines


def classified(
    path: Path, lines: Sequence[Line], settings: Settings, *, repartition: bool = False
) -> list[ShownGroup]:
    """The groups of the lines. `repartition`: whether a line's own partition is left out.

    Raises `ModelError`, naming the line where one cannot be scored.
    """
    todo = [line for line in lines if repartition or line.record.partition is None]
    try:
        responses = answers(
            Pipeline.rewards, [_request(line.record, settings) for line in todo], settings
        )
    except Unanswered as fault:
        raise ModelError(f"{path}, line {todo[fault.index].number}: {fault}") from None
    scored = {
        line.number: _scored(line, answer) for line, answer in zip(todo, responses, strict=True)
    }
    return [scored.get(line.number) or _stored(line) for line in lines]


def _step(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_STEP:
        raise ValueError(f"{value!r} is not a training step; write an integer of at least 0")
    return value


def _quality(record: Record) -> list[float] | None:
    """The rollouts' quality, else 1 for the correct ones and 0 for others; None where unknown."""
    if record.quality is None and record.correct is not None:
        return [float(correct) for correct in record.correct]
    return record.quality


def _request(record: Record, settings: Settings) -> RewardRequest:
    quality = _quality(record)
    return RewardRequest(
        groups=[Group(prompt=record.prompt, rollouts=list(record.texts), quality=quality)],
        reward=RewardOptions(objective="diversity" if quality is None else "darling"),
        # The texts of a record are those that count, by the option `text`.
        partition=PartitionOptions(linkage=settings.linkage, text="all"),
        return_probabilities=True,
    )


def _scored(line: Line, answer: RewardResponse) -> ShownGroup:
    group, record = answer.groups[0], line.record
    unknown = [None] * len(record.texts)
    rewards = unknown if group.quality is None else group.rewards
    columns = (record.texts, group.partition, group.diversity, group.quality or unknown, rewards)
    return ShownGroup(
        name=line.name,
        prompt=record.prompt,
        rollouts=[ShownRollout(*row) for row in zip(*columns, strict=True)],
        model=answer.model.id,
        threshold=answer.model.threshold,
        probabilities=group.probabilities,
        reasoned=record.reasoned,
    )


def _stored(line: Line) -> ShownGroup:
    record = line.record
    assert record.partition is not None, "lines without a partition are scored"
    place = {name: k for k, name in enumerate(dict.fromkeys(record.partition))}
    numbers = np.asarray([place[name] for name in record.partition], dtype=np.int64)
    quality: Sequence[float | None] = _quality(record) or [None] * len(numbers)
    columns = (record.texts, numbers.tolist(), partition_diversity(numbers).tolist(), quality)
    return ShownGroup(
        name=line.name,
        prompt=record.prompt,
        rollouts=[ShownRollout(*row) for row in zip(*columns, strict=True)],
        reasoned=record.reasoned,
    )
