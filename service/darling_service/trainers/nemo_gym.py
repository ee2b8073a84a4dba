"""NeMo-Gym: a resources server at http://HOST:8000/trainers/nemo-gym.

    {"responses_create_params": {"input": ...}, "response": {"output": [...]}, "_ng_...": ...}
    -> the same and "reward": 0.51

`_ng_group_id`, `_ng_group_attempt` and `_ng_rollout_index` identify the rollout and its group.
Without a group id, `_ng_task_index` and the input identify the group; both come again in the next
epoch, so a retry is then recognised by its text. The URL cannot carry a group's size: set
`cohort_size`.
"""

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from darling_service.http.body import read_body
from darling_service.http.openapi import accepts, ok_response
from darling_service.http.responses import json_response, while_connected
from darling_service.http.state import service_of
from darling_service.schemas.messages import Conversation
from darling_service.schemas.requests import Prompt
from darling_service.scoring.texts import in_thread_if_long
from darling_service.trainers.query import Query, read_query
from darling_service.trainers.rollouts import (
    TrainerRollout,
    check_length,
    flags,
    group_of,
    reward,
    sample_of,
    text_of,
)

router = APIRouter()


class Foreign(BaseModel):
    """An object of NeMo-Gym's; fields that are not listed are kept and sent back."""

    model_config = ConfigDict(extra="allow")


class CreateParams(Foreign):
    input: Prompt = Field(description="The prompt: a text, or messages.")


class Output(Foreign):
    output: Conversation = Field(
        description="Items of the rollout: messages, reasoning, tool calls and their outputs."
    )


class NemoGymRequest(Foreign):
    responses_create_params: CreateParams
    response: Output
    task: int | str | None = Field(
        None,
        alias="_ng_task_index",
        description="Number of the task; identifies groups without id.",
    )
    group: int | str | None = Field(
        None, alias="_ng_group_id", description="The same for all rollouts of a group."
    )
    attempt: int | None = Field(
        None, alias="_ng_group_attempt", ge=0, description="Sampling attempt of the group."
    )
    rollout: int | str | None = Field(
        None, alias="_ng_rollout_index", description="The rollout in its group, kept in a retry."
    )
    expected_answer: Any = Field(
        None, description="The right answer, compared by some quality sources."
    )
    label: Any = Field(None, description="The right answer, if `expected_answer` is missing.")


EXAMPLE: dict[str, Any] = {
    "responses_create_params": {"input": [{"role": "user", "content": "Name a city."}]},
    "response": {
        "output": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Lisbon"}],
            }
        ]
    },
    "_ng_group_id": "17",
    "_ng_group_attempt": 0,
    "_ng_rollout_index": 3,
}


@router.post(
    "/trainers/nemo-gym/verify",
    summary="NeMo-Gym's verify: the reward of one rollout",
    responses=ok_response({**EXAMPLE, "reward": 1.0}),
    openapi_extra=accepts(NemoGymRequest, {"one rollout of a group": EXAMPLE}),
)
async def verify(request: Request) -> Response:
    """Returns the request with its rollout's reward added. The group's other rollouts arrive in
    requests of their own."""
    service = service_of(request)
    query = read_query(request, Query)
    body = await read_body(request, NemoGymRequest, service.settings.max_body_bytes)
    words = (body.responses_create_params.input, body.response.output)
    check_length(service.settings, input=words[0], output=words[1], label=_label(body))
    rollout = await in_thread_if_long(lambda: _rollout(body, query.n), words)
    answer = await while_connected(request, reward(service, rollout, query))
    echoed = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return json_response({**echoed, "reward": answer["reward"]}, flags(answer))


@router.post("/trainers/nemo-gym/seed_session", include_in_schema=False)
async def seed_session() -> Response:
    """Answers the request with which agents begin each rollout; this service keeps no sessions."""
    return json_response({})


def _rollout(body: NemoGymRequest, size: int | None) -> TrainerRollout:
    prompt, output = body.responses_create_params.input, body.response.output
    sample = sample_of(prompt, output, _label(body))
    messages = json.dumps(sample.messages)
    if body.group is not None:
        group = group_of("group", str(body.group), messages)
        return TrainerRollout(prompt, output, sample, group, size, body.attempt or 0, body.rollout)
    task = None if body.task is None else str(body.task)
    return TrainerRollout(prompt, output, sample, group_of("task", task, messages), size)


def _label(body: NemoGymRequest) -> str | None:
    return text_of(body.label if body.expected_answer is None else body.expected_answer)
