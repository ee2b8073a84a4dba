"""OpenRLHF: `--reward.remote_url http://HOST:8000/get_reward?n=8`.

    {"query": ["<prompt><response>"], "prompts": ["<prompt>"], "labels": ["gold" or null]}
    -> {"rewards": 0.5, "scores": 1.0, "extra_logs": {"diversity": 0.57, ...}}

Version 0.9.1 and later send one rollout a request, earlier ones a whole batch: lists of any length
are taken, a list of one is answered with numbers, others with lists. A request fails for the
trainer after 180 seconds and five tries, and a failed reward ends the run.
"""

from collections import Counter
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from darling_service.errors import FieldError, Invalid
from darling_service.http.body import read_body
from darling_service.http.openapi import accepts, answers
from darling_service.http.responses import json_answer, while_connected
from darling_service.quality.sources import Sample
from darling_service.schemas.responses import RolloutAnswer
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

router = APIRouter()


class OpenRLHFRequest(BaseModel):
    query: list[str]
    prompts: list[str]
    labels: list[Any] | None = None


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
    summary="OpenRLHF's remote reward",
    responses=answers(ANSWER),
    openapi_extra=accepts(OpenRLHFRequest, {"one of a group": EXAMPLE}),
)
@router.post("/get_reward", include_in_schema=False)
async def get_reward(request: Request) -> Response:
    """Rewards of rollouts whose siblings come in other requests; `?n=` is the group's size."""
    settings, telemetry = request.app.state.pipeline.settings, request.app.state.pipeline.telemetry
    query = read_query(request, Query)
    body = await read_body(request, OpenRLHFRequest, settings.max_body_bytes)
    rollouts = _rollouts(body, query.n, telemetry)
    if not rollouts:
        return json_answer({"rewards": [], "scores": [], "extra_logs": {}})
    found = await while_connected(request, rewards(request, rollouts, query, TIME_BUDGET))
    return json_answer(_answer(found), flags(*found))


def _rollouts(
    body: OpenRLHFRequest, size: int | None, telemetry: Telemetry
) -> list[TrainerRollout]:
    labels = [None] * len(body.query) if body.labels is None else list(map(text_of, body.labels))
    for name, column in (("prompts", body.prompts), ("labels", labels)):
        if len(column) != len(body.query):
            message = f"{len(column)} for {len(body.query)} queries; give one each"
            raise Invalid([FieldError((name,), message)])
    groups = [group_of(*pair) for pair in zip(body.prompts, labels, strict=True)]
    together = Counter(groups)
    rollouts = []
    for written, prompt, label, group in zip(body.query, body.prompts, labels, groups, strict=True):
        text = response_of(written, prompt)
        if text is None:
            telemetry.unmatched.inc()
            text = clean(written)
        messages = [{"role": "user", "content": clean(prompt)}]
        sample = Sample(messages, text, label, (prompt, written))
        # A list of several rollouts without a size is a whole batch: it holds whole groups.
        rollouts.append(
            TrainerRollout(sample, group, size or (together[group] if len(groups) > 1 else None))
        )
    return rollouts


def _answer(found: list[RolloutAnswer]) -> dict[str, Any]:
    logs: dict[str, list[Any]] = {
        "diversity": [answer["diversity"] for answer in found],
        "quality": [answer["quality"] for answer in found],
        "num_classes": [answer["num_classes"] for answer in found],
        "group_size": [answer["group_size"] for answer in found],
        "group_complete": [int(answer["group_complete"]) for answer in found],
    }
    if found[0]["advantage"] is not None:
        logs["advantage"] = [answer["advantage"] for answer in found]
    rewards, scores = [answer["reward"] for answer in found], logs["quality"]
    if len(found) == 1:
        only = {name: values[0] for name, values in logs.items()}
        return {"rewards": rewards[0], "scores": scores[0], "extra_logs": only}
    return {"rewards": rewards, "scores": scores, "extra_logs": logs}
