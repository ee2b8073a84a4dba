"""slime: `--rm-type remote_rm --rm-url http://HOST:8000/trainers/slime/rm?n=8`.

    {"prompt": "text" or [{"role", "content"}], "response": "...", "label": "gold" or null}
    -> 0.51

With `&answer=object` and `--reward-key rewards`: {"rewards": 0.51, "quality": 0.9, ...}. slime
gives up after 120 seconds and keeps 64 connections a process: with more rollouts in flight than
that, the missing siblings queue behind those that wait, and a short `&deadline_s=` is the way out.
"""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from darling_service.http.body import read_body
from darling_service.http.openapi import accepts, answers
from darling_service.http.responses import json_answer, while_connected
from darling_service.quality.sources import Sample
from darling_service.schemas.responses import RolloutAnswer
from darling_service.trainers.messages import ForeignMessage, as_messages
from darling_service.trainers.query import Query, read_query
from darling_service.trainers.responses import clean
from darling_service.trainers.rollouts import (
    TimeBudget,
    TrainerRollout,
    flags,
    group_of,
    reward,
    text_of,
)

TIME_BUDGET = TimeBudget(wait_s=100, answer_s=110)

router = APIRouter()


class SlimeRequest(BaseModel):
    prompt: str | list[ForeignMessage]
    response: str
    label: Any = None


class SlimeQuery(Query):
    answer: Literal["number", "object"] = "number"


EXAMPLE = {
    "prompt": [{"role": "user", "content": "Name a city."}],
    "response": "Lisbon",
    "label": None,
}


@router.post(
    "/trainers/slime/rm",
    summary="slime's remote_rm",
    responses=answers(1.0),
    openapi_extra=accepts(SlimeRequest, {"one of a group": EXAMPLE}),
)
async def rm(request: Request) -> Response:
    """The reward of a rollout whose siblings come in other requests; `?n=` is the group's size."""
    query = read_query(request, SlimeQuery)
    limit = request.app.state.pipeline.settings.max_body_bytes
    body = await read_body(request, SlimeRequest, limit)
    messages, label = as_messages(body.prompt), text_of(body.label)
    group = group_of(*(part for m in messages for part in m.values()), label)
    trained = TrainerRollout(Sample(messages, clean(body.response), label), group, query.n)
    found = await while_connected(request, reward(request, trained, query, TIME_BUDGET))
    answer = found["reward"] if query.answer == "number" else _object(found)
    return json_answer(answer, flags(found))


def _object(found: RolloutAnswer) -> dict[str, Any]:
    told = {name: value for name, value in found.items() if name not in ("reward", "model")}
    return {"rewards": found["reward"], **told}
