"""The routes of version 1: each reads its body, calls the service and answers."""

import asyncio
import inspect
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from darling_models.card import card_of
from darling_service.errors import Unavailable
from darling_service.http import examples
from darling_service.http.body import body_of
from darling_service.http.deadline import due_of
from darling_service.http.openapi import PROBLEMS, accepts, ok_response
from darling_service.http.responses import grouped_response, json_response, while_connected
from darling_service.http.state import Service, service_of
from darling_service.request_id import count_rollouts
from darling_service.schemas.requests import (
    EquivalenceRequest,
    PartitionRequest,
    PreferenceRequest,
    RewardRequest,
    RolloutRequest,
)
from darling_service.schemas.responses import (
    EquivalenceResponse,
    PartitionResponse,
    PreferenceResponse,
    RewardResponse,
    RolloutResponse,
)

RETRY_AFTER_LOADING_S = 1.0
"""Seconds between two looks at `/health/ready`: models take a few seconds to load."""

router = APIRouter()
Body = TypeVar("Body", bound=BaseModel)
Answer = TypeVar("Answer")
Call = Callable[[Service, Body, float], Awaitable[Answer]]
"""A service, a body, and the event-loop time at which the caller gives up, to an answer."""


def rollouts_in(body: BaseModel) -> int:
    """Number of rollouts in a request."""
    if isinstance(body, RewardRequest | PartitionRequest | PreferenceRequest):
        return sum(len(group.rollouts) for group in body.groups)
    return 1 if isinstance(body, RolloutRequest) else 0


def post(
    path: str,
    schema: type[Body],
    answer: Any,
    *,
    tag: str,
    summary: str,
    requests: Mapping[str, Any],
    example: Any,
    waits: bool = False,
) -> Callable[[Call[Body, Answer]], Call[Body, Answer]]:
    """Registers a function of (service, body, due) as a route that answers `schema` with `answer`.

    The function's docstring is the route's description. `waits`: whether a request waits for others
    and what it holds meanwhile is counted by its cohort.
    """

    def register(call: Call[Body, Answer]) -> Call[Body, Answer]:
        async def handle(request: Request) -> Response:
            service, due = service_of(request), due_of(request)
            async with body_of(request, schema, waits) as body:
                count_rollouts(rollouts_in(body))
                content = await while_connected(request, call(service, body, due), due)
                return await grouped_response(content)

        router.add_api_route(
            path,
            handle,
            methods=["POST"],
            name=call.__name__,
            tags=[tag],
            summary=summary,
            description=inspect.getdoc(call),
            response_model=answer,
            responses=ok_response(example),
            openapi_extra=accepts(schema, requests),
        )
        return call

    return register


@post(
    "/v1/rewards",
    RewardRequest,
    RewardResponse,
    tag="scoring",
    summary="Diversity-scaled rewards of whole groups",
    requests=examples.REWARD_REQUESTS,
    example=examples.REWARD_RESPONSE,
)
async def rewards(service: Service, body: RewardRequest, due: float) -> RewardResponse:
    """Partitions each group by meaning and returns its rollouts' quality, shaped by diversity."""
    return await service.pipeline.rewards(body, due)


@post(
    "/v1/rollouts",
    RolloutRequest,
    RolloutResponse,
    tag="cohorts",
    summary="Cohort endpoint: the reward of one rollout, scored with its group",
    requests=examples.ROLLOUT_REQUESTS,
    example=examples.ROLLOUT_RESPONSE,
    waits=True,
)
async def rollouts(service: Service, body: RolloutRequest, due: float) -> RolloutResponse:
    """Waits until the group's other rollouts have arrived, each in a request of its own, then
    answers every request with its own rollout's reward."""
    return await service.cohorts.reward(body)


@post(
    "/v1/partitions",
    PartitionRequest,
    PartitionResponse,
    tag="scoring",
    summary="Partitions of groups by meaning",
    requests=examples.PARTITION_REQUESTS,
    example=examples.PARTITION_RESPONSE,
)
async def partitions(service: Service, body: PartitionRequest, due: float) -> PartitionResponse:
    """Returns the classes and the diversity of each group's rollouts and, on request, the matrix of
    equivalence probabilities. Needs no quality."""
    return await service.pipeline.partitions(body, due)


@post(
    "/v1/preferences",
    PreferenceRequest,
    PreferenceResponse,
    tag="scoring",
    summary="Preference pairs for DPO, by DivPO",
    requests=examples.PREFERENCE_REQUESTS,
    example=examples.PREFERENCE_RESPONSE,
)
async def preferences(service: Service, body: PreferenceRequest, due: float) -> PreferenceResponse:
    """Returns two rollouts of each group: the most distinct of the good ones to prefer, and the
    least distinct of the bad ones to prefer it to (DivPO)."""
    return await service.pipeline.preferences(body, due)


@post(
    "/v1/equivalence",
    EquivalenceRequest,
    EquivalenceResponse,
    tag="scoring",
    summary="Equivalence probabilities of pairs of texts",
    requests=examples.EQUIVALENCE_REQUESTS,
    example=examples.EQUIVALENCE_RESPONSE,
)
async def equivalence(
    service: Service, body: EquivalenceRequest, due: float
) -> EquivalenceResponse:
    """Returns the probability that the two texts of each pair are functionally equivalent. The
    order of the two texts does not matter."""
    return await service.pipeline.equivalence(body, due)


@router.get(
    "/v1/models",
    tags=["models"],
    summary="Models and limits",
    responses=ok_response(examples.MODELS_RESPONSE),
)
async def models(request: Request) -> Response:
    """Lists the models that a request may name, the default first, and the limits on a request."""
    service = service_of(request)
    infos = [info.as_dict() for info in service.pipeline.models()]
    return json_response({"models": infos, "limits": service.settings.limits()})


@router.get(
    "/v1/models/card",
    tags=["models"],
    summary="Model card of the default model",
    responses=ok_response(examples.CARD_RESPONSE),
)
async def card(request: Request) -> Response:
    """Returns the model card in Markdown and the reliability plot as a data URL, each null where
    the model has none."""
    name = service_of(request).settings.model
    own = await asyncio.to_thread(card_of, name)
    plot = own.reliability and f"data:image/png;base64,{b64encode(own.reliability).decode()}"
    return json_response({"model": name, "card": own.text, "reliability": plot})


@router.get(
    "/health/live",
    tags=["health"],
    summary="Liveness",
    responses=ok_response({"status": "live"}),
)
async def live() -> Response:
    """Answers 200 as long as the process runs."""
    return json_response({"status": "live"})


@router.get(
    "/health/ready",
    tags=["health"],
    summary="Readiness",
    responses=ok_response({"status": "ready"}),
)
async def ready(request: Request) -> Response:
    """Answers 200 once the model has answered a warm-up question, and 503 while it loads, after it
    has failed, and while the service stops."""
    if not await service_of(request).ready():
        raise Unavailable("the model is not ready", retry_after_s=RETRY_AFTER_LOADING_S)
    return json_response({"status": "ready"})


@router.get(
    "/metrics",
    tags=["health"],
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"description": "The metrics.", "content": {"text/plain": {}}}, **PROBLEMS},
)
async def metrics(request: Request) -> Response:
    """Exposes the service's metrics in the Prometheus text format."""
    exposition = await service_of(request).exposition()
    return Response(exposition, media_type="text/plain; version=1.0.0; charset=utf-8")
