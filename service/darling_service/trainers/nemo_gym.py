"""NeMo-Gym: a resources server at http://HOST:8000, whose `/verify` it calls for each rollout.

    {"responses_create_params": {"input": ...}, "response": {"output": [...]}, "_ng_...": ...}
    -> the same and "reward": 0.51

`_ng_group_id`, `_ng_group_attempt` and `_ng_rollout_index` identify the rollout and its group.
Without a group id, `_ng_task_index` and the input identify the group; both come again in the next
epoch, so a retry is then recognised by its text. The URL cannot carry a group's size: set
`cohort_size`.

The routes are those of NeMo-Gym 0.4 to 0.7, at the root, where NeMo-Gym looks for them, and under
/trainers/nemo-gym. Its 0.7 reads `mask_sample`, `failure_kind` and `failure_reason`.
"""

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StrictInt

from darling_models.texts.messages import Conversation, Prompt
from darling_service.http.body import body_of, content_of, parse_body
from darling_service.http.deadline import due_of
from darling_service.http.openapi import accepts, ok_response
from darling_service.http.responses import json_response, while_connected
from darling_service.http.state import service_of
from darling_service.off_loop import in_thread_if_long
from darling_service.schemas.responses import RolloutResponse
from darling_service.settings import Settings
from darling_service.trainers.nemo_gym_metrics import VerifyResponses, figures_of
from darling_service.trainers.query import Query, parameters, read_query
from darling_service.trainers.rollouts import (
    TrainerRollout,
    check_length,
    flags,
    group_of,
    reward,
    sample_of,
)

router = APIRouter()


class CreateParams(BaseModel):
    input: Prompt = Field(description="The prompt: a text, or messages.")


class Output(BaseModel):
    output: Conversation = Field(
        description="Items of the rollout: messages, reasoning, tool calls and their outputs."
    )


class NemoGymRequest(BaseModel):
    """A rollout of NeMo-Gym. Fields that are not listed are sent back as they came."""

    responses_create_params: CreateParams
    response: Output
    task: StrictInt | str | None = Field(
        None,
        alias="_ng_task_index",
        description="Number of the task; identifies groups without id.",
    )
    group: StrictInt | str | None = Field(
        None, alias="_ng_group_id", description="The same for all rollouts of a group."
    )
    attempt: StrictInt | None = Field(
        None,
        alias="_ng_group_attempt",
        ge=0,
        lt=2**63,
        description="Sampling attempt of the group.",
    )
    rollout: StrictInt | str | None = Field(
        None, alias="_ng_rollout_index", description="The rollout in its group, kept in a retry."
    )
    expected_answer: Any = Field(
        None, description="The right answer, compared by some quality sources."
    )
    label: Any = Field(None, description="The right answer, if `expected_answer` is missing.")
    instance_config: Any = Field(
        None, description="Settings of the task, where NeMo-RL looks for `mask_sample`."
    )


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
    openapi_extra=accepts(NemoGymRequest, {"one rollout of a group": EXAMPLE}, parameters(Query)),
)
@router.post("/verify", include_in_schema=False)
async def verify(request: Request) -> Response:
    """Returns the request with its rollout's reward added. The group's other rollouts arrive in
    requests of their own."""
    service, due = service_of(request), due_of(request)
    query = read_query(request, Query)
    async with content_of(request) as raw:
        body = await parse_body(raw, NemoGymRequest)
        rollout = await in_thread_if_long(
            lambda: _rollout(body, query.n, service.settings, raw),
            [body.responses_create_params.input, body.response.output, *_label(body)],
        )
    answer = await while_connected(request, reward(service, rollout, query), due)
    size = query.n or service.settings.cohort_size
    return Response(
        _with_fields(raw, {"reward": answer["reward"], **_failure(answer, body, size)}),
        media_type="application/json",
        headers=flags(answer),
    )


@router.post("/trainers/nemo-gym/seed_session", include_in_schema=False)
@router.post("/seed_session", include_in_schema=False)
async def seed_session() -> Response:
    """Answers the request with which agents begin each rollout; this service keeps no sessions."""
    return json_response({})


@router.post("/trainers/nemo-gym/aggregate_metrics", include_in_schema=False)
@router.post("/aggregate_metrics", include_in_schema=False)
async def aggregate_metrics(request: Request) -> Response:
    """Answers the request with which NeMo-Gym ends a collection of rollouts."""
    async with body_of(request, VerifyResponses) as body:
        figures = await asyncio.to_thread(figures_of, body.verify_responses)
    return Response(figures, media_type="application/json")


@router.get("/trainers/nemo-gym/reverify_mode", include_in_schema=False)
@router.get("/reverify_mode", include_in_schema=False)
async def reverify_mode() -> Response:
    """Answers that a rollout cannot be verified again by itself: its reward is that of a group."""
    return json_response("unsupported")


def _rollout(
    body: NemoGymRequest, size: int | None, settings: Settings, raw: bytes
) -> TrainerRollout:
    """Raises `Invalid` if a text is over its limit."""
    prompt, output = body.responses_create_params.input, body.response.output
    field, label = _label(body)
    check_length(settings, (field, label), input=prompt, output=output)
    sample = sample_of(prompt, output, label, label_field=(field,))
    messages = json.dumps(sample.messages)
    if body.group is not None:
        group = group_of("group", str(body.group), messages)
        # As text, since NeMo-Gym may number them beyond the 64 bits of our own ids.
        member = None if body.rollout is None else str(body.rollout)
        return TrainerRollout(prompt, output, sample, group, size, body.attempt or 0, member, raw)
    task = None if body.task is None else str(body.task)
    group = group_of("task", task, messages)
    return TrainerRollout(prompt, output, sample, group, size, raw=raw)


def _label(body: NemoGymRequest) -> tuple[str, Any]:
    """The field that holds the right answer, and what it holds."""
    if body.expected_answer is None:
        return "label", body.label
    return "expected_answer", body.expected_answer


def _failure(answer: RolloutResponse, body: NemoGymRequest, size: int | None) -> dict[str, Any]:
    """What NeMo-Gym 0.7 is told of a group whose siblings were missing; nothing of a complete one,
    nor where its `size` is not known.

    The reward of several rollouts is a degraded but valid score. A rollout that was alone has
    nothing to be distinct from: its reward is the quality, above that of its siblings elsewhere,
    and is masked.
    """
    if answer["group_complete"] or size is None:
        return {}
    present = answer["group_size"]
    alone = present == 1
    fields: dict[str, Any] = {
        "mask_sample": alone,
        "failure_kind": "darling.partial_group",
        "failure_reason": f"the group was scored with {present} of its {size} rollouts, as the "
        "others did not arrive before the deadline",
    }
    if alone:
        # NeMo-RL looks for the mask here.
        settings = body.instance_config if isinstance(body.instance_config, dict) else {}
        fields["instance_config"] = {**settings, "mask_sample": True}
    return fields


def _with_fields(raw: bytes, fields: dict[str, Any]) -> bytes:
    """The JSON object `raw` with more fields at its end, where they win over earlier ones of their
    name; all else stays to the byte what it was, whatever another parser would make of it."""
    end = raw.rindex(b"}")
    while raw[end - 1] in b" \t\r\n":
        end -= 1
    return b",".join((memoryview(raw)[:end], json.dumps(fields).encode().removeprefix(b"{")))
