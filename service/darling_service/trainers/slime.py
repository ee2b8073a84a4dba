"""slime: `--rm-type remote_rm --rm-url http://HOST:8000/trainers/slime/rm?n=8`.

    {"prompt": "text" or [{"role", "content"}], "response": "...", "label": "gold" or null}
    -> 0.51

With `&answer=object` and `--reward-key rewards`: {"rewards": 0.51, "quality": 0.9, ...}. slime
gives up after 120 seconds and keeps 64 connections per process: with more rollouts in flight than
that, the missing siblings queue behind those that wait; set a short `&deadline_s=`.
"""

import json
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from darling_models.texts.messages import Prompt
from darling_service.http.body import body_of
from darling_service.http.deadline import due_of
from darling_service.http.openapi import accepts, ok_response
from darling_service.http.responses import json_response, while_connected
from darling_service.http.state import service_of
from darling_service.off_loop import in_thread_if_long
from darling_service.schemas.responses import RolloutResponse
from darling_service.settings import Settings
from darling_service.trainers.query import Query, parameters, read_query
from darling_service.trainers.rollouts import (
    TimeBudget,
    TrainerRollout,
    check_length,
    flags,
    group_of,
    reward,
    sample_of,
    text_of,
)

TIME_BUDGET = TimeBudget(wait_s=100, answer_s=110)
"""Seconds within slime's own time-out of 120."""

router = APIRouter()


class SlimeRequest(BaseModel):
    prompt: Prompt = Field(description="The prompt: a text, or messages.")
    response: str = Field(description="The response to the prompt.")
    label: Any = Field(None, description="The right answer, compared by some quality sources.")


class SlimeQuery(Query):
    answer: Literal["number", "object"] = Field(
        "number", description="Form of the answer: the reward alone, or an object with its parts."
    )


EXAMPLE = {
    "prompt": [{"role": "user", "content": "Name a city."}],
    "response": "Lisbon",
    "label": None,
}


@router.post(
    "/trainers/slime/rm",
    summary="slime's remote_rm: the reward of one rollout",
    responses=ok_response(1.0),
    openapi_extra=accepts(
        SlimeRequest, {"one rollout of a group": EXAMPLE}, parameters(SlimeQuery)
    ),
)
async def rm(request: Request) -> Response:
    """Returns the reward of one rollout. The group's other rollouts arrive in requests of their
    own; `?n=` is the group's size."""
    service, due = service_of(request), due_of(request)
    query = read_query(request, SlimeQuery)
    async with body_of(request, SlimeRequest) as body:
        rollout = await in_thread_if_long(
            lambda: _rollout(body, query.n, service.settings),
            [body.prompt, body.response, body.label],
        )
    answer = await while_connected(request, reward(service, rollout, query, TIME_BUDGET), due)
    content = answer["reward"] if query.answer == "number" else _object(answer)
    return json_response(content, flags(answer))


def _rollout(body: SlimeRequest, size: int | None, settings: Settings) -> TrainerRollout:
    """Raises `Invalid` if a text is over its limit."""
    words = (body.prompt, body.response)
    check_length(settings, ("label", body.label), prompt=words[0], response=words[1])
    sample = sample_of(*words, body.label)
    group = group_of(json.dumps(sample.messages), text_of(body.label))
    return TrainerRollout(*words, sample, group, size)


def _object(answer: RolloutResponse) -> dict[str, Any]:
    others = {name: value for name, value in answer.items() if name not in ("reward", "model")}
    return {"rewards": answer["reward"], **others}
