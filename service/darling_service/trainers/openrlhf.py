"""OpenRLHF: `--reward.remote_url http://HOST:8000/get_reward?n=8`.

    {"query": ["<prompt><response>"], "prompts": ["<prompt>"], "labels": ["gold" or null]}
    -> {"rewards": 0.5, "scores": 1.0, "extra_logs": {"diversity": 0.57, ...}}

Version 0.9.1 and later send one rollout per request, earlier versions a whole batch. Lists of any
length are accepted; a list of one is answered with numbers, longer ones with lists. A request fails
for the trainer after 180 seconds and five tries, and a failed reward ends the run.
"""

from collections import Counter
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from darling_service.errors import FieldError, Invalid
from darling_service.http.body import body_of
from darling_service.http.deadline import due_of
from darling_service.http.openapi import accepts, ok_response
from darling_service.http.responses import json_response, while_connected
from darling_service.http.state import service_of
from darling_service.off_loop import in_thread_if_long
from darling_service.schemas.responses import RolloutResponse
from darling_service.scoring.limits import too_long, too_many_rollouts
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry
from darling_service.trainers.query import Query, parameters, read_query
from darling_service.trainers.responses import response_of
from darling_service.trainers.rollouts import (
    TimeBudget,
    TrainerRollout,
    flags,
    group_of,
    label_too_long,
    rewards,
    sample_of,
    text_of,
)

TIME_BUDGET = TimeBudget(wait_s=150, answer_s=170)
"""Seconds within OpenRLHF's own time-out of 180."""

MAX_QUERIES = 65_536
"""Most rollouts in one request: early versions of OpenRLHF send the batch of a whole step."""
MAX_ERRORS = 10
"""Most errors that one answer tells of."""
Value = TypeVar("Value")
Column = Annotated[list[Value], Field(fail_fast=True)]
"""A value for each query; the first wrong one is told, and the rest is not looked at."""

router = APIRouter()


class OpenRLHFRequest(BaseModel):
    query: Column[str] = Field(
        max_length=MAX_QUERIES, description="Prompts with their responses, special tokens and all."
    )
    prompts: Column[str] = Field(max_length=MAX_QUERIES, description="The prompt of each query.")
    labels: Column[Any] | None = Field(
        None,
        max_length=MAX_QUERIES,
        description="The right answer of each query, compared by some quality sources.",
    )


EXAMPLE = {
    "query": ["<|im_start|>user\nName a city.<|im_end|>\n<|im_start|>assistant\nLisbon<|im_end|>"],
    "prompts": ["<|im_start|>user\nName a city.<|im_end|>\n<|im_start|>assistant\n"],
    "labels": [None],
}
ANSWER = {
    "rewards": 1.0,
    "scores": 1.0,
    "extra_logs": {
        "diversity": 1.0,
        "quality": 1.0,
        "num_classes": 1,
        "group_size": 1,
        "group_complete": 1,
    },
}


@router.post(
    "/trainers/openrlhf/get_reward",
    summary="OpenRLHF's remote reward: rewards of one or more rollouts",
    responses=ok_response(ANSWER),
    openapi_extra=accepts(OpenRLHFRequest, {"one rollout of a group": EXAMPLE}, parameters(Query)),
)
@router.post("/get_reward", include_in_schema=False)
async def get_reward(request: Request) -> Response:
    """Returns the rewards of one or more rollouts. The other rollouts of their groups arrive in
    requests of their own; `?n=` is the group's size."""
    service, due = service_of(request), due_of(request)
    query = read_query(request, Query)
    async with body_of(request, OpenRLHFRequest) as body:
        rollouts = await in_thread_if_long(
            lambda: _rollouts(body, query.n, service.settings, service.telemetry),
            [body.query, body.prompts, body.labels],
        )
    if not rollouts:
        return json_response({"rewards": [], "scores": [], "extra_logs": {}})
    scored = await while_connected(request, rewards(service, rollouts, query, TIME_BUDGET), due)
    return json_response(_content(scored), flags(*scored))


def _check(body: OpenRLHFRequest, settings: Settings) -> None:
    """Raises `Invalid` if the columns do not fit together, or a text is over its limit."""
    n = len(body.query)
    for name, column in (("prompts", body.prompts), ("labels", body.labels)):
        if column is not None and len(column) != n:
            message = f"has {len(column)} values for {n} queries; send one for each"
            raise Invalid([FieldError((name,), message)])
    errors: list[FieldError] = []
    for place, (query, prompt) in enumerate(zip(body.query, body.prompts, strict=True)):
        errors += too_long(("prompts", place), prompt, settings)
        # The response is what the query has beyond its prompt, wherever the prompt ends in it.
        errors += too_long(("query", place), query[len(prompt) :], settings)
    for place, label in enumerate(body.labels or ()):
        errors += label_too_long(("labels", place), label, settings)
    if errors:
        raise Invalid(errors[:MAX_ERRORS])


def _rollouts(
    body: OpenRLHFRequest, size: int | None, settings: Settings, telemetry: Telemetry
) -> list[TrainerRollout]:
    """The rollouts in the columns. Raises `Invalid` if a count or a text is over its limit."""
    _check(body, settings)
    labels: list[Any] = [None] * len(body.query) if body.labels is None else body.labels
    groups = [
        group_of(prompt, text_of(label)) for prompt, label in zip(body.prompts, labels, strict=True)
    ]
    together = Counter(groups)
    if len(together) > settings.max_groups:
        message = (
            f"{len(together)} groups are over max_groups = {settings.max_groups}; send fewer "
            "prompts in one request, or raise DARLING_MAX_GROUPS"
        )
        raise Invalid([FieldError(("prompts",), message)])
    largest = size or max(together.values(), default=0)
    if largest > settings.max_rollouts:
        place = ("query", "n") if size else ("query",)
        raise Invalid([FieldError(place, too_many_rollouts(largest, settings))])
    rollouts = []
    columns = zip(body.query, body.prompts, labels, groups, strict=True)
    for index, (written, prompt, label, group) in enumerate(columns):
        text = response_of(written, prompt)
        if text is None:
            telemetry.unmatched.inc()
            text = written
        sample = sample_of(prompt, text, label, (prompt, written), label_field=("labels", index))
        # A list of several rollouts without a size is a whole batch: it holds whole groups.
        rollouts.append(
            TrainerRollout(
                *(prompt, text, sample, group),
                size or (together[group] if len(groups) > 1 else None),
            )
        )
    return rollouts


def _content(rollouts: list[RolloutResponse]) -> dict[str, Any]:
    """The answer in OpenRLHF's format; `scores` are the qualities."""
    logs: dict[str, list[Any]] = {
        "diversity": [answer["diversity"] for answer in rollouts],
        "quality": [answer["quality"] for answer in rollouts],
        "num_classes": [answer["num_classes"] for answer in rollouts],
        "group_size": [answer["group_size"] for answer in rollouts],
        "group_complete": [int(answer["group_complete"]) for answer in rollouts],
    }
    if rollouts[0]["advantage"] is not None:
        logs["advantage"] = [answer["advantage"] for answer in rollouts]
    rewards, scores = [answer["reward"] for answer in rollouts], logs["quality"]
    if len(rollouts) == 1:
        only = {name: values[0] for name, values in logs.items()}
        return {"rewards": rewards[0], "scores": scores[0], "extra_logs": only}
    return {"rewards": rewards, "scores": scores, "extra_logs": logs}
