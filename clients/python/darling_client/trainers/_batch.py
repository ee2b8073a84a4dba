"""The rows of a trainer's batch as groups, and the groups' rewards as rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from darling_client._errors import Unavailable
from darling_client._grouping import Grouping
from darling_client._outages import log
from darling_client._types import Group, GroupRewards, Prompt, Response


@dataclass(frozen=True)
class Row:
    """One rollout of the batch."""

    prompt: Prompt
    response: Response
    quality: float | None
    """The task's own reward; a row where it is None or not finite takes no part in its group."""


@dataclass(frozen=True)
class Score:
    """The rewards of one row."""

    reward: float
    """Quality shaped by diversity."""
    quality: float
    diversity: float
    num_classes: int
    """The number of classes in the row's group."""


ADVANTAGE_REFUSED = (
    "reward.advantage is set, but this trainer computes advantages of its own from the rewards; "
    "remove it, or call Client.rewards where your code can use advantages"
)


class Batch:
    """The `groups` of the rows, to be sent, and the `scores` of the rows from what comes back."""

    def __init__(self, rows: Sequence[Row], grouping: Grouping) -> None:
        self._rows = rows
        with_quality = (
            [row for row in group if _finite(rows[row].quality)] for group in grouping.rows
        )
        self._kept = Grouping([group for group in with_quality if group])

    @property
    def groups(self) -> list[Group]:
        """The groups of rows with a finite quality."""
        return [
            Group(
                prompt=group[0].prompt,
                rollouts=[row.response for row in group],
                quality=[row.quality for row in group if row.quality is not None],
            )
            for group in self._kept.split(self._rows)
        ]

    def scores(self, outcomes: Sequence[GroupRewards | Unavailable]) -> list[Score | None]:
        """The score of each row, from the outcome of each of the `groups`.

        None for a row without quality, and for the rows of a group that is `Unavailable`, which is
        logged: a made-up number would train the policy on nothing. Raises `ValueError` when
        advantages were asked for.
        """
        scores: list[Score | None] = [None] * len(self._rows)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
        if failures:
            log.warning(
                "no reward for %d of %d groups, which give no signal in this step: %s",
                *(len(failures), len(outcomes), failures[0]),
            )
        for rows, outcome in zip(self._kept.rows, outcomes, strict=True):
            if isinstance(outcome, Unavailable):
                continue
            assert outcome.quality is not None
            if outcome.advantages is not None:
                raise ValueError(ADVANTAGE_REFUSED)
            columns = zip(rows, outcome.rewards, outcome.quality, outcome.diversity, strict=True)
            for row, reward, quality, diversity in columns:
                scores[row] = Score(reward, quality, diversity, outcome.num_classes)
        return scores


def _finite(quality: float | None) -> bool:
    return quality is not None and math.isfinite(quality)
