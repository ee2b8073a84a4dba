"""The answers to a shard, in a file of their own until the whole file is answered.

A part is written at once under its name, so that one which exists is complete. Writing it again
gives the same bytes: a worker may die at any time, and another may do its work twice.
"""

import io
from collections.abc import Iterator
from typing import Any

from darling_service import storage
from darling_service.answers_file import Answers, Earlier, MadeBy, answer_line, read_answer
from darling_service.ray_data.shards import Shard

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
        held = storage.read(self._name)
        self._whole = held is not None
        self._earlier = shard.earlier if held is None else held

    def earlier(self) -> Iterator[Earlier]:
        for line in self._earlier.splitlines():
            yield read_answer(line, self._shard.target, self._made_by)

    def keep(self, earlier: Earlier) -> None:
        self._written.write(answer_line({**earlier.record, "line": earlier.line}))

    def write(self, line: int, input_line: bytes, answer: dict[str, Any]) -> None:
        super().write(line, input_line, answer)
        self._whole = False

    def save(self) -> None:
        """Writes the part, unless an earlier run has. Raises `OSError`."""
        if not self._whole:
            storage.write(self._name, self._written.getvalue())


def join(target: str, count: int) -> None:
    """Writes the file of answers of its parts, which it then removes. Raises `OSError`."""
    folder = folder_of(target)
    parts = [part_of(target, index) for index in range(count)]
    storage.join(parts, target, meanwhile=f"{folder}/whole")
    storage.remove(folder)
