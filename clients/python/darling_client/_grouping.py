"""From the rows of a batch to its groups and back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Grouping:
    """Which rows of a batch make up each group: `rows[g]` are indices, in batch order."""

    rows: list[list[int]]

    def split(self, column: Sequence[T]) -> list[list[T]]:
        """A column of the batch, group by group."""
        return [[column[row] for row in group] for group in self.rows]

    def join(self, groups: Sequence[Sequence[T]]) -> list[T]:
        """Values of each group, in batch order. Raises `ValueError` when their number differs."""
        pairs = [
            (row, value)
            for rows, values in zip(self.rows, groups, strict=True)
            for row, value in zip(rows, values, strict=True)
        ]
        return [value for _, value in sorted(pairs, key=lambda pair: pair[0])]


def regroup(uids: Iterable[Hashable]) -> Grouping:
    """Rows with equal uids make up a group, however they are interleaved; groups are numbered by
    first occurrence."""
    rows: dict[Hashable, list[int]] = {}
    for row, uid in enumerate(uids):
        rows.setdefault(uid, []).append(row)
    return Grouping(list(rows.values()))


def consecutive(total: int, size: int) -> Grouping:
    """Every `size` rows make up a group. Raises `ValueError` when some are left over."""
    if size < 1 or total % size:
        raise ValueError(f"{total} rows are no whole number of groups of {size}")
    return Grouping([list(range(start, start + size)) for start in range(0, total, size)])
