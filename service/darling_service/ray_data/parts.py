"""The answers to a shard, in a file of their own until the whole file is answered.

A part is written at once under its name, so that one which exists is complete. Writing it again
gives the same bytes: a worker may die at any time, and another may do its work twice.
"""

import io
from collections.abc import Iterator
from uuid import uuid4

from darling_models import json_lines
from darling_service import storage
from darling_service.answers_file import (
    Answers,
    Earlier,
    MadeBy,
    ScoreError,
    answer_line,
    read_answer,
)
from darling_service.pipeline import Pipeline
from darling_service.ray_data.shards import Shard
from darling_service.scored_lines import Question, Summary, answered

PARTS = ".parts"
"""Suffix of the folder of a file's parts, beside it."""


def folder_of(target: str) -> str:
    """The folder of the parts of a file of answers."""
    return target + PARTS


def part_of(target: str, index: int) -> str:
    """The part of the shard with that index."""
    return f"{folder_of(target)}/{index:08}.jsonl"


class Part(Answers):
    """The answers to one shard; those of an earlier run are of its part, else of the shard."""

    def __init__(self, shard: Shard, made_by: MadeBy) -> None:
        """Raises `OSError`."""
        self._written = io.BytesIO()
        super().__init__(self._written, made_by)
        self._shard = shard
        self._name = part_of(shard.target, shard.index)
        self._held = storage.read(self._name)
        self._earlier = shard.earlier if self._held is None else self._held

    def earlier(self) -> Iterator[Earlier]:
        for line in self._earlier.splitlines():
            yield read_answer(line, self._shard.target, self._made_by)

    def keep(self, earlier: Earlier) -> None:
        self._written.write(answer_line({**earlier.record, "line": earlier.line}))

    def save(self) -> None:
        """Writes the part, unless it holds the same bytes already. Raises `OSError`."""
        written = self._written.getvalue()
        if written != self._held:
            storage.write(self._name, written)


async def write_part(pipeline: Pipeline, shard: Shard, question: Question, summary: Summary) -> str:
    """Answers the lines of a shard in its part. Returns the model's name and revision.

    The pipeline has started; the lines are added to the summary. Raises `OSError` and `ScoreError`.
    """
    made_by = question.made_by(pipeline)
    part = Part(shard, made_by)
    lines = json_lines.numbered(io.BytesIO(shard.lines), shard.first)
    async for _ in answered(pipeline, lines, part, question, summary):
        pass
    part.save()
    return made_by.model


def join(target: str, count: int) -> None:
    """Writes the file of answers of its parts, which it then removes.

    Raises `OSError`, and `ScoreError` where another run has taken parts away.
    """
    folder = folder_of(target)
    parts = [part_of(target, index) for index in range(count)]
    try:
        storage.join(parts, target, meanwhile=f"{folder}/{uuid4().hex}.tmp")
    except FileNotFoundError:
        raise ScoreError(
            f"parts of {target} are gone from {folder}: another run has written or overwritten "
            "that file meanwhile; wait until it ends, and run the same command again"
        ) from None
    storage.remove(folder)
