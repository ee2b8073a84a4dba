"""The rows of a batch, split into groups and joined again."""

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
        """The values of all groups, in batch order; the inverse of `split`.

        Raises `ValueError` when the numbers of groups or of their values differ from the rows'.
        """
        pairs = [
            (row, value)
            for rows, values in zip(self.rows, groups, strict=True)
            for row, value in zip(rows, values, strict=True)
        ]
        return [value for _, value in sorted(pairs, key=lambda pair: pair[0])]


def regroup(uids: Iterable[Hashable]) -> Grouping:
    """Puts rows with equal uids into a group, in whatever order they come. Groups are numbered by
    first occurrence."""
    rows: dict[Hashable, list[int]] = {}
    for row, uid in enumerate(uids):
        rows.setdefault(uid, []).append(row)
    return Grouping(list(rows.values()))


def consecutive(total: int, size: int) -> Grouping:
    """Puts every `size` consecutive rows into a group. Raises `ValueError` when rows are left."""
    if size < 1 or total % size:
        raise ValueError(
            f"total is {total} rows, which do not divide into groups of size {size}; "
            "give whole groups"
        )
    return Grouping([list(range(start, start + size)) for start in range(0, total, size)])
