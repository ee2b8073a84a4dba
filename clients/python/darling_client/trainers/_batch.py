"""The rows of a trainer's batch as groups, and the groups' rewards as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darling_client._errors import Unavailable
from darling_client._grouping import Grouping
from darling_client._outages import log
from darling_client._types import Group, GroupRewards, Prompt, Response, Rollout
from darling_client.tracking import means
from darling_client.trainers._quality import Judgement
from darling_client.trainers._request import Request

if TYPE_CHECKING:
    from darling_client import AsyncClient


@dataclass(frozen=True)
class Row:
    """One rollout of the batch."""

    prompt: Prompt
    response: Response
    judgement: Judgement | None
    """What is known of it; a row without takes no part in its group."""


@dataclass(frozen=True)
class Score:
    """The result of one row."""

    reward: float
    """What the trainer gets: quality shaped by diversity, or the advantage."""
    quality: float | None
    """None where the objective needs none and none was given."""
    diversity: float
    num_classes: int
    """The number of classes in the row's group."""
    collapsed: bool
    """Whether the row's group has two rollouts or more, all of one class."""

    def parts(self) -> dict[str, float]:
        """What a trainer may log of it."""
        parts = {
            "diversity": self.diversity,
            "num_classes": self.num_classes,
            "collapsed": float(self.collapsed),
        }
        return parts if self.quality is None else {"quality": self.quality, **parts}


def logged(scores: Sequence[Score | None]) -> dict[str, float]:
    """What a trainer may log of a batch: the mean of each part over the rows that have it, and the
    share of rows without a score, `unanswered`."""
    rows = [score.parts() for score in scores if score is not None]
    return {**means(rows), "unanswered": 1 - len(rows) / len(scores) if scores else 0.0}


class Batch:
    """The `groups` of the rows, to be sent, and the `scores` of the rows from what comes back."""

    def __init__(self, rows: Sequence[Row], grouping: Grouping, request: Request) -> None:
        self._rows = rows
        self._request = request
        judged = ([row for row in group if rows[row].judgement] for group in grouping.rows)
        self._kept = Grouping([group for group in judged if group])

    @property
    def groups(self) -> list[Group]:
        """The groups of rows with a judgement. Raises `ValueError` where references differ."""
        return [_group(group) for group in self._kept.split(self._rows)]

    def scores(self, outcomes: Sequence[GroupRewards | Unavailable]) -> list[Score | None]:
        """The score of each row, from the outcome of each of the `groups`.

        None for a row without judgement, and for the rows of a group that is `Unavailable`, which
        is logged: a made-up number would train the policy on nothing.
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
            num_classes, collapsed = outcome.num_classes, outcome.num_classes == 1 < len(rows)
            quality = [None] * len(rows) if outcome.quality is None else outcome.quality
            columns = zip(
                rows, self._request.sent(outcome), quality, outcome.diversity, strict=True
            )
            for row, reward, own_quality, diversity in columns:
                scores[row] = Score(reward, own_quality, diversity, num_classes, collapsed)
        return scores


def whole(size: int) -> Grouping:
    """All rows as one group."""
    return Grouping([list(range(size))])


async def scores_of_group(
    rows: Sequence[Row], client: AsyncClient, request: Request, step: int | None = None
) -> list[Score | None]:
    """The scores of rows that are one group, as of `Batch.scores`.

    Raises `DarlingError` when there is no answer, and what `Batch.groups` raises.
    """
    batch = Batch(rows, whole(len(rows)), request)
    return batch.scores(await client.rewards(batch.groups, **request.params(step)))


def _group(rows: Sequence[Row]) -> Group:
    references = {row.judgement.reference for row in rows if row.judgement} - {None}
    if len(references) > 1:
        raise ValueError(
            f"quality returned the references {', '.join(map(repr, sorted(map(str, references))))} "
            "for rollouts of one group; return the same for all of them"
        )
    return Group(
        prompt=rows[0].prompt,
        rollouts=[rollout(row.response, row.judgement) for row in rows if row.judgement],
        reference=next(iter(references), None),
    )


def rollout(response: Response, judgement: Judgement) -> Rollout:
    """The rollout with what is known of it."""
    return Rollout(
        response,
        quality=judgement.quality,
        answer=judgement.answer,
        correct=judgement.correct,
        logprob=judgement.logprob,
        solutions=judgement.solutions,
    )
