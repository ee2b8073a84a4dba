"""From a trainer's rollout to the cohort door: quality, identity, and an answer in time."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from darling_models.keys import content_key
from starlette.requests import Request

from darling_service.errors import Problem, Unavailable
from darling_service.http.body import valid
from darling_service.quality.sources import Sample
from darling_service.schemas.requests import RolloutRequest
from darling_service.schemas.responses import RolloutAnswer
from darling_service.trainers.query import Query

RETRY_AFTER_LATE_S = 1.0
MIN_WAIT_S = 0.001


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """What a trainer's own time-out leaves."""

    wait_s: float
    """Most seconds to wait for siblings."""
    answer_s: float
    """Most seconds until an answer, be it that the trainer should ask again."""


FOR_EVER = TimeBudget(wait_s=86_400, answer_s=86_400)


@dataclass(frozen=True, slots=True)
class TrainerRollout:
    """A rollout as a trainer tells of it."""

    sample: Sample
    group_id: str
    group_size: int | None
    attempt: int = 0
    member_id: str | int | None = None


async def reward(
    request: Request, rollout: TrainerRollout, query: Query, budget: TimeBudget = FOR_EVER
) -> RolloutAnswer:
    """The rollout's share of its group's answer. Raises what the cohort door raises."""
    state, loop = request.app.state, asyncio.get_running_loop()
    started = loop.time()
    wait_s = min(query.deadline_s or state.pipeline.settings.cohort_deadline_s, budget.wait_s)
    try:
        async with asyncio.timeout(budget.answer_s):
            quality = await state.qualities.of(rollout.sample, query.quality)
            left_s = max(wait_s - (loop.time() - started), MIN_WAIT_S)
            asked = _asked(rollout, query, quality, left_s)
            answer: RolloutAnswer = await state.cohorts.reward(asked)
            return answer
    except TimeoutError:
        late = "the group is still being scored; ask again with the same rollout"
        raise Unavailable(late, retry_after_s=RETRY_AFTER_LATE_S) from None


async def rewards(
    request: Request, rollouts: Sequence[TrainerRollout], query: Query, budget: TimeBudget
) -> list[RolloutAnswer]:
    """The same of several rollouts; when one fails, the others leave their cohorts."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(reward(request, r, query, budget)) for r in rollouts]
    except* Problem as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in running]


def _asked(
    rollout: TrainerRollout, query: Query, quality: float, deadline_s: float
) -> RolloutRequest:
    return valid(
        {
            "run": query.run,
            "group_id": rollout.group_id,
            "attempt": rollout.attempt,
            "member_id": rollout.member_id,
            "group_size": rollout.group_size,
            "prompt": list(map(dict, rollout.sample.messages)),
            "text": rollout.sample.text,
            "quality": quality,
            "deadline_s": deadline_s,
            "idle_timeout_s": query.idle_timeout_s,
            "reward": query.reward,
            "partition": query.partition,
            "model": query.model,
        },
        RolloutRequest,
    )


def group_of(*parts: str | None) -> str:
    """A group's id from what its rollouts have in common."""
    return content_key(*("" if part is None else f"={part}" for part in parts)).hex()


def text_of(label: Any) -> str | None:
    """A label as text; one that is no text as JSON."""
    return label if label is None or isinstance(label, str) else json.dumps(label)


def flags(*answers: RolloutAnswer) -> dict[str, str]:
    """A header for formats without a place to say it: whether all groups were complete."""
    complete = all(answer["group_complete"] for answer in answers)
    return {"Darling-Group-Complete": str(complete).lower()}
