"""Rows of a trainer's batch to groups, and the answers back to rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from darling_client._errors import Unavailable
from darling_client._grouping import Grouping
from darling_client._outages import log
from darling_client._types import Group, GroupRewards, Prompt


@dataclass(frozen=True)
class Row:
    prompt: Prompt
    text: str
    quality: float | None
    """None, or not finite: it cannot be judged and takes no part in its group."""


@dataclass(frozen=True)
class Score:
    """What a row gets."""

    reward: float
    quality: float
    diversity: float
    num_classes: int
    """Of the row's group."""


ADVANTAGE = (
    "reward.advantage is asked for, but trainers make advantages of their own from rewards; drop "
    "it, or use Client.rewards where you can put advantages in"
)


class Batch:
    """`groups` to ask for, and `scores` to read the answers by."""

    def __init__(self, rows: Sequence[Row], grouping: Grouping) -> None:
        self._rows = rows
        judged = [[row for row in group if _finite(rows[row].quality)] for group in grouping.rows]
        self._kept = Grouping([group for group in judged if group])

    @property
    def groups(self) -> list[Group]:
        return [
            Group(
                prompt=group[0].prompt,
                rollouts=[row.text for row in group],
                quality=[row.quality for row in group if row.quality is not None],
            )
            for group in self._kept.split(self._rows)
        ]

    def scores(self, answers: Sequence[GroupRewards | Unavailable]) -> list[Score | None]:
        """One for each row; None for rows without quality, or whose group got no answer in time,
        which is logged: a made-up number would train the policy on nothing."""
        scores: list[Score | None] = [None] * len(self._rows)
        failed = [answer for answer in answers if isinstance(answer, Unavailable)]
        if failed:
            log.warning(
                "no reward for %d of %d groups, which give no signal in this step: %s",
                *(len(failed), len(answers), failed[0]),
            )
        for rows, answer in zip(self._kept.rows, answers, strict=True):
            if isinstance(answer, Unavailable):
                continue
            assert answer.quality is not None
            if answer.advantages is not None:
                raise ValueError(ADVANTAGE)
            each = zip(rows, answer.rewards, answer.quality, answer.diversity, strict=True)
            for row, reward, quality, diversity in each:
                scores[row] = Score(reward, quality, diversity, answer.num_classes)
        return scores


def _finite(quality: float | None) -> bool:
    return quality is not None and math.isfinite(quality)
