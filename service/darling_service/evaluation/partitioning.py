"""The classes of records' rollouts, from their files or from the service's own pipeline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from darling_service.evaluation.records import Record
from darling_service.in_command import answers
from darling_service.pipeline import Pipeline
from darling_service.rewards.rounding import same
from darling_service.schemas.requests import PartitionOptions, PartitionRequest, PromptGroup
from darling_service.schemas.responses import PartitionResponse
from darling_service.settings import Settings

Members = tuple[int, ...]
"""Rollouts of a record, by index, ascending."""
Partitioner = Callable[[Sequence[PromptGroup]], list[list[int]]]
"""The class of each rollout, group by group; it raises `ModelError`."""


@dataclass(frozen=True, slots=True)
class Classes:
    """The partitions of a record's rollouts, class numbers in the order of the rollouts.

    Classes of some rollouts are those that these make alone: among all rollouts, a wrong one can
    connect two right ones that differ.
    """

    every: list[int]
    right: list[int]
    """Classes of the correct rollouts; empty where correctness is unknown."""
    valid: list[int] | None
    """Classes of the rollouts that count in effective diversity; None where that is unknown."""
    stored: bool
    """Whether these are the classes of the file; those of some rollouts are then its restriction,
    since a partition does not say how it was made."""


def classify(
    records: Sequence[Record],
    threshold: float | None,
    judged: bool,
    partitioner: Partitioner,
    repartition: bool,
) -> list[Classes]:
    """The classes of each record, from the file if it has them and `repartition` is false.

    `threshold`: quality from which a rollout is valid; None: the correct ones are. `judged`:
    whether any record that is measured says which ones are correct; if none does, all are valid.
    Raises `ModelError`.
    """
    wanted = [
        (_everyone(record), _right(record), _valid(record, threshold, judged)) for record in records
    ]
    stored = [not repartition and record.partition is not None for record in records]
    todo = dict.fromkeys(
        (k, members)
        for k, kinds in enumerate(wanted)
        for members in kinds
        if members and not stored[k]
    )
    groups = [
        PromptGroup(prompt=records[k].prompt, rollouts=[records[k].texts[i] for i in members])
        for k, members in todo
    ]
    partitions = dict(zip(todo, partitioner(groups), strict=True))

    def classes(k: int, members: Members) -> list[int]:
        partition = records[k].partition
        if stored[k] and partition is not None:
            return [partition[i] for i in members]
        return partitions[k, members] if members else []

    return [
        Classes(
            classes(k, every),
            classes(k, right),
            None if valid is None else classes(k, valid),
            stored[k],
        )
        for k, (every, right, valid) in enumerate(wanted)
    ]


def _everyone(record: Record) -> Members:
    return tuple(range(len(record.texts)))


def _right(record: Record) -> Members:
    return tuple(i for i, right in enumerate(record.correct or ()) if right)


def _valid(record: Record, threshold: float | None, judged: bool) -> Members | None:
    """The rollouts that count in effective diversity; None where nobody knows.

    Counting all rollouts of a record without verdicts would flatter a file that has some.
    """
    if threshold is not None and record.quality is not None:
        quality = np.asarray(record.quality)
        enough = (quality >= threshold) | same(quality, threshold)
        return tuple(np.flatnonzero(enough).tolist())
    if record.correct is not None:
        return _right(record)
    return None if judged else _everyone(record)


def in_this_process(settings: Settings) -> Partitioner:
    """Loads the model for a call, if there is a group at all."""
    return lambda groups: partitions_of(
        answers(Pipeline.partitions, requests_for(groups, settings), settings)
    )


def requests_for(groups: Sequence[PromptGroup], settings: Settings) -> list[PartitionRequest]:
    """The request that asks for each group's partition."""
    # The texts of a record are those that count, by the option `text`.
    options = PartitionOptions(linkage=settings.linkage, text="all")
    return [PartitionRequest(groups=[group], partition=options) for group in groups]


def partitions_of(responses: Sequence[PartitionResponse]) -> list[list[int]]:
    """The partition in each response to such a request."""
    return [response.groups[0].partition for response in responses]
