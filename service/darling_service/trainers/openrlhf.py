"""OpenRLHF: `--reward.remote_url http://HOST:8000/get_reward?n=8`.

    {"query": ["<prompt><response>"], "prompts": ["<prompt>"], "labels": ["gold" or null]}
    -> {"rewards": 0.5, "scores": 1.0, "extra_logs": {"diversity": 0.57, ...}}

Version 0.9.1 and later send one rollout per request, earlier versions a whole batch. Lists of any
length are accepted; a list of one is answered with numbers, longer ones with lists. A request fails
for the trainer after 180 seconds and five tries, and a failed reward ends the run.
"""

from collections import Counter
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from darling_service.errors import FieldError, Invalid
from darling_service.http.body import read_body
from darling_service.http.openapi import accepts, ok_response
from darling_service.http.responses import json_response, while_connected
from darling_service.http.state import service_of
from darling_service.quality.sample import Sample
from darling_service.schemas.responses import RolloutResponse
from darling_service.telemetry import Telemetry
from darling_service.trainers.query import Query, read_query
from darling_service.trainers.responses import clean, response_of
from darling_service.trainers.rollouts import (
    TimeBudget,
    TrainerRollout,
    flags,
    group_of,
    rewards,
    text_of,
)

TIME_BUDGET = TimeBudget(wait_s=150, answer_s=170)
"""Seconds within OpenRLHF's own time-out of 180."""

router = APIRouter()


class OpenRLHFRequest(BaseModel):
    query: list[str] = Field(description="Prompts with their responses, special tokens and all.")
    prompts: list[str] = Field(description="The prompt of each query.")
    labels: list[Any] | None = Field(
        None, description="The right answer of each query, compared by some quality sources."
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
    openapi_extra=accepts(OpenRLHFRequest, {"one rollout of a group": EXAMPLE}),
)
@router.post("/get_reward", include_in_schema=False)
async def get_reward(request: Request) -> Response:
    """Returns the rewards of one or more rollouts. The other rollouts of their groups arrive in
    requests of their own; `?n=` is the group's size."""
    service = service_of(request)
    query = read_query(request, Query)
    body = await read_body(request, OpenRLHFRequest, service.settings.max_body_bytes)
    rollouts = _rollouts(body, query.n, service.telemetry)
    if not rollouts:
        return json_response({"rewards": [], "scores": [], "extra_logs": {}})
    scored = await while_connected(request, rewards(service, rollouts, query, TIME_BUDGET))
    return json_response(_content(scored), flags(*scored))


def _rollouts(
    body: OpenRLHFRequest, size: int | None, telemetry: Telemetry
) -> list[TrainerRollout]:
    labels: list[Any] = [None] * len(body.query) if body.labels is None else body.labels
    for name, column in (("prompts", body.prompts), ("labels", labels)):
        if len(column) != len(body.query):
            message = f"has {len(column)} values for {len(body.query)} queries; send one for each"
            raise Invalid([FieldError((name,), message)])
    groups = [
        group_of(prompt, text_of(label)) for prompt, label in zip(body.prompts, labels, strict=True)
    ]
    together = Counter(groups)
    rollouts = []
    columns = zip(body.query, body.prompts, labels, groups, strict=True)
    for index, (written, prompt, label, group) in enumerate(columns):
        text = response_of(written, prompt)
        if text is None:
            telemetry.unmatched.inc()
            text = clean(written)
        messages = [{"role": "user", "content": clean(prompt)}]
        sample = Sample(messages, text, label, (prompt, written), ("labels", index))
        # A list of several rollouts without a size is a whole batch: it holds whole groups.
        rollouts.append(
            TrainerRollout(sample, group, size or (together[group] if len(groups) > 1 else None))
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
