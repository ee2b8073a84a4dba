"""The routes: each parses, calls the pipeline and answers."""

from fastapi import APIRouter, Request, Response

from darling_service.errors import Unavailable
from darling_service.http import examples
from darling_service.http.body import read_body
from darling_service.http.openapi import accepts, answers
from darling_service.http.responses import json_answer, while_connected
from darling_service.pipeline import Pipeline
from darling_service.schemas.requests import (
    EquivalenceRequest,
    PartitionRequest,
    PreferenceRequest,
    RewardRequest,
    RolloutRequest,
)
from darling_service.schemas.responses import (
    EquivalenceAnswer,
    PartitionAnswer,
    PreferenceAnswer,
    RewardAnswer,
    RolloutAnswer,
)

router = APIRouter()


@router.post(
    "/v1/rewards",
    summary="Diversity-scaled rewards",
    response_model=RewardAnswer,
    responses=answers(examples.REWARD_ANSWER),
    openapi_extra=accepts(RewardRequest, examples.REWARD_REQUESTS),
)
async def rewards(request: Request) -> Response:
    """Partitions each group by meaning and returns its quality shaped by diversity."""
    pipeline = _pipeline(request)
    body = await read_body(request, RewardRequest, pipeline.settings.max_body_bytes)
    return json_answer(await while_connected(request, pipeline.rewards(body)))


@router.post(
    "/v1/rollouts",
    summary="One rollout's reward, once its group is there",
    response_model=RolloutAnswer,
    responses=answers(examples.ROLLOUT_ANSWER),
    openapi_extra=accepts(RolloutRequest, examples.ROLLOUT_REQUESTS),
)
async def rollouts(request: Request) -> Response:
    """The cohort door: waits for the siblings, which come in requests of their own."""
    pipeline = _pipeline(request)
    body = await read_body(request, RolloutRequest, pipeline.settings.max_body_bytes)
    return json_answer(await while_connected(request, request.app.state.cohorts.reward(body)))


@router.post(
    "/v1/partitions",
    summary="Partitions by meaning",
    response_model=PartitionAnswer,
    responses=answers(examples.PARTITION_ANSWER),
    openapi_extra=accepts(PartitionRequest, examples.PARTITION_REQUESTS),
)
async def partitions(request: Request) -> Response:
    """The same without quality: classes, diversity and, on request, probabilities."""
    pipeline = _pipeline(request)
    body = await read_body(request, PartitionRequest, pipeline.settings.max_body_bytes)
    return json_answer(await while_connected(request, pipeline.partitions(body)))


@router.post(
    "/v1/preferences",
    summary="Pairs to prefer, good and distinct over bad and common",
    response_model=PreferenceAnswer,
    responses=answers(examples.PREFERENCE_ANSWER),
    openapi_extra=accepts(PreferenceRequest, examples.PREFERENCE_REQUESTS),
)
async def preferences(request: Request) -> Response:
    """DivPO: of each group the rollout to prefer and the one to prefer it to, for DPO."""
    pipeline = _pipeline(request)
    body = await read_body(request, PreferenceRequest, pipeline.settings.max_body_bytes)
    return json_answer(await while_connected(request, pipeline.preferences(body)))


@router.post(
    "/v1/equivalence",
    summary="Probabilities of pairs",
    response_model=EquivalenceAnswer,
    responses=answers(examples.EQUIVALENCE_ANSWER),
    openapi_extra=accepts(EquivalenceRequest, examples.EQUIVALENCE_REQUESTS),
)
async def equivalence(request: Request) -> Response:
    """Whether two texts are functionally equivalent; does not depend on their order."""
    pipeline = _pipeline(request)
    body = await read_body(request, EquivalenceRequest, pipeline.settings.max_body_bytes)
    return json_answer(await while_connected(request, pipeline.equivalence(body)))


@router.get("/v1/models", summary="Models and limits", responses=answers(examples.MODELS_ANSWER))
async def models(request: Request) -> Response:
    """The models a request may name, the default first, and the limits a request must keep."""
    pipeline = _pipeline(request)
    listed = [info.as_dict() for info in pipeline.models()]
    return json_answer({"models": listed, "limits": pipeline.settings.limits()})


@router.get("/health/live", summary="Liveness", responses=answers({"status": "live"}))
async def live() -> Response:
    """200 while the process answers at all."""
    return json_answer({"status": "live"})


@router.get("/health/ready", summary="Readiness", responses=answers({"status": "ready"}))
async def ready(request: Request) -> Response:
    """200 once the model has answered a warm-up; 503 while it loads, fails or drains."""
    if not await request.app.state.pipeline.ready():
        raise Unavailable("the model is not ready", retry_after_s=1)
    return json_answer({"status": "ready"})


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    exposition = request.app.state.pipeline.telemetry.exposition()
    return Response(exposition, media_type="text/plain; version=1.0.0; charset=utf-8")


def _pipeline(request: Request) -> Pipeline:
    pipeline: Pipeline = request.app.state.pipeline
    return pipeline
