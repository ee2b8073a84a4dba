"""A trainer's rollout and its reward: quality, the group's id, and an answer in time."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from darling_models.faults import Loc
from darling_models.keys import content_key
from darling_models.texts.group import conversation_of, prompt_of, turns_of
from darling_models.texts.messages import Prompt, Response, as_messages
from darling_service.errors import FieldError, Invalid, Problem, Unavailable
from darling_service.http.state import Service
from darling_service.quality.sample import Sample
from darling_service.request_id import count_rollouts
from darling_service.schemas.parse import validate
from darling_service.schemas.requests import RolloutRequest
from darling_service.schemas.responses import RolloutResponse
from darling_service.scoring.limits import too_long
from darling_service.settings import Settings
from darling_service.trainers.query import Query

RETRY_AFTER_LATE_S = 1.0
"""Seconds after which a trainer should ask again for a reward that is still being computed."""
SLICE = 32
"""Rollouts that join their cohorts at one time, some 20 ms of work; between slices the event loop
serves other requests."""
MIN_WAIT_S = 0.001
"""Shortest wait for siblings, in seconds: a cohort's deadline must be above 0."""


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """Seconds that a trainer's own time-out leaves for its reward."""

    wait_s: float
    """Longest wait for siblings."""
    answer_s: float
    """Longest time until an answer, which may tell the trainer to ask again."""


UNLIMITED = TimeBudget(wait_s=86_400, answer_s=86_400)
"""A day: the longest deadline that a rollout may have."""


@dataclass(frozen=True, slots=True)
class TrainerRollout:
    """A rollout as a trainer describes it."""

    prompt: Prompt
    response: Response
    sample: Sample
    group_id: str
    group_size: int | None
    attempt: int = 0
    member_id: str | int | None = None
    raw: bytes = b""
    """The body, where it is kept until the answer."""


async def reward(
    service: Service, rollout: TrainerRollout, query: Query, budget: TimeBudget = UNLIMITED
) -> RolloutResponse:
    """The rollout's share of its group's answer.

    Raises what `Cohorts.reward` raises, and `Unavailable` when the time budget is used up.
    """
    count_rollouts(1)
    loop = asyncio.get_running_loop()
    started = loop.time()
    wait_s = min(query.deadline_s or service.settings.cohort_deadline_s, budget.wait_s)
    try:
        async with asyncio.timeout(budget.answer_s):
            quality = await service.qualities.of(rollout.sample, query.quality)
            deadline_s = max(wait_s - (loop.time() - started), MIN_WAIT_S)
            request = _request(rollout, query, quality, deadline_s)
            return await service.cohorts.reward(request, (rollout.sample.label, rollout.raw))
    except TimeoutError:
        late = "the group is still being scored; send the same rollout again"
        raise Unavailable(late, retry_after_s=RETRY_AFTER_LATE_S) from None


async def rewards(
    service: Service, rollouts: Sequence[TrainerRollout], query: Query, budget: TimeBudget
) -> list[RolloutResponse]:
    """The answers of several rollouts; when one fails, the others leave their cohorts."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running: list[asyncio.Task[RolloutResponse]] = []
            for start in range(0, len(rollouts), SLICE):
                some = rollouts[start : start + SLICE]
                running += [tasks.create_task(reward(service, r, query, budget)) for r in some]
                await asyncio.sleep(0)
    except* Problem as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in running]


def _request(
    rollout: TrainerRollout, query: Query, quality: float, deadline_s: float
) -> RolloutRequest:
    field = "text" if isinstance(rollout.response, str) else "messages"
    return validate(
        {
            "run": query.run,
            "group_id": rollout.group_id,
            "attempt": rollout.attempt,
            "member_id": rollout.member_id,
            "group_size": rollout.group_size,
            "prompt": rollout.prompt,
            field: rollout.response,
            "quality": quality,
            "reference": text_of(rollout.sample.label) if query.partition.show_reference else None,
            "deadline_s": deadline_s,
            "idle_timeout_s": query.idle_timeout_s,
            "reward": query.reward,
            "partition": query.partition,
            "model": query.model,
        },
        RolloutRequest,
    )


def sample_of(
    prompt: Prompt,
    response: Response,
    label: Any,
    written: tuple[str, str] | None = None,
    *,
    label_field: Loc = ("label",),
) -> Sample:
    """What a quality source is given: the conversation, and what was said in the rollout."""
    return Sample(
        as_messages(conversation_of(prompt)),
        turns_of(response),
        label,
        written,
        label_field,
        prompt_of(prompt).opens_reasoning,
    )


def check_length(settings: Settings, label: tuple[str, Any], **fields: Prompt | Response) -> None:
    """Raises `Invalid` naming each of the fields that is over the limit of characters.

    `label`: the name of its field, and any JSON.
    """
    errors = [
        *(error for name, words in fields.items() for error in too_long((name,), words, settings)),
        *label_too_long(label[:1], label[1], settings),
    ]
    if errors:
        raise Invalid(errors)


def label_too_long(loc: Loc, label: Any, settings: Settings) -> Iterator[FieldError]:
    """The error of a label with too many characters. A label may be any JSON: its texts count, and
    each value as one more. It is looked at only until there are too many."""
    if isinstance(label, str):
        yield from too_long(loc, label, settings)
        return
    chars, rest = 0, [label]
    while rest and chars <= settings.max_chars:
        value = rest.pop()
        chars += len(value) if isinstance(value, str) else 1
        if isinstance(value, dict):
            rest += value
            rest += value.values()
        elif isinstance(value, list):
            rest += value
    if chars > settings.max_chars:
        yield FieldError(
            loc,
            f"is longer than max_chars = {settings.max_chars} characters; shorten it or raise "
            "DARLING_MAX_CHARS",
        )


def group_of(*parts: str | None) -> str:
    """A group's id, made of what its rollouts have in common."""
    return content_key(*("" if part is None else f"={part}" for part in parts)).hex()


def text_of(label: Any) -> str | None:
    """A label as text; a label of another type is written as JSON."""
    return label if label is None or isinstance(label, str) else json.dumps(label)


def flags(*answers: RolloutResponse) -> dict[str, str]:
    """The header that tells whether all groups were complete: most formats have no field for it."""
    complete = all(answer["group_complete"] for answer in answers)
    return {"Darling-Group-Complete": str(complete).lower()}
