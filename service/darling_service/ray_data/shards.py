"""Files of groups cut into shards, each of which one worker scores.

The same file is always cut at the same lines, so that a run finds the parts of an earlier one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from darling_models import json_lines
from darling_service import storage

SHARD_LINES = 512
"""Lines of a shard: enough to fill batches, and few enough that a worker which dies loses
little."""
SHARD_BYTES = 32 * 2**20
"""Bytes after which a shard ends, since it passes through memory as a whole."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Lines of a file that follow each other, and what an earlier run answered to them."""

    target: str
    """The file of answers to which the shard belongs."""
    index: int
    """Place among the file's shards, from 0."""
    first: int
    """Number of the first line in the file, from 1."""
    lines: bytes
    earlier: bytes
    """Lines of the file of answers, as far as it was written before."""
    last: bool
    """Whether the file ends here; a file has one shard at least."""


def cut(source: str, target: str) -> Iterator[Shard]:
    """The shards of a file. Raises `OSError`, and `ValueError` if it cannot be unpacked."""
    with storage.open_read(source) as file:
        earlier = _Answered(_lines_of(target))
        index, first, lines, size = 0, 1, list[bytes](), 0
        for line in json_lines.raw(file):
            if len(lines) == SHARD_LINES or size >= SHARD_BYTES:
                after = first + len(lines)
                yield Shard(target, index, first, b"".join(lines), earlier.before(after), False)
                index, first, lines, size = index + 1, after, [], 0
            lines.append(line)
            size += len(line)
        yield Shard(target, index, first, b"".join(lines), earlier.rest(), True)


class _Answered:
    """Lines of a file of answers, taken from its start."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._next = next(self._lines, None)

    def before(self, number: int) -> bytes:
        """The answers that were not taken yet to lines before one of that number."""
        taken = []
        while self._next is not None and _number(self._next) < number:
            taken.append(self._next)
            self._next = next(self._lines, None)
        return b"".join(taken)

    def rest(self) -> bytes:
        rest = [] if self._next is None else [self._next, *self._lines]
        return b"".join(rest)


def _lines_of(target: str) -> Iterator[bytes]:
    """Whole lines of a file of answers, if there is one: a killed run may have torn the last."""
    if storage.exists(target):
        with storage.open_read(target) as file:
            yield from (line for line in file if line.endswith(b"\n") or not line.startswith(b"{"))


def _number(answer: bytes) -> int:
    """Number of the line that is answered; 0 for what is no answer, which the worker refuses."""
    try:
        return int(orjson.loads(answer)["line"])
    except (ValueError, KeyError, TypeError):
        return 0
