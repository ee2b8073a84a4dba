"""The routes of the history: what is known of a caller's runs."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from darling_service.caller import CALLER
from darling_service.errors import NotFound
from darling_service.history.recorded import RunKey
from darling_service.http import examples
from darling_service.http.openapi import ok_response
from darling_service.http.query import parameters, query_of
from darling_service.http.responses import json_response
from darling_service.http.state import service_of
from darling_service.schemas.history import GroupsQuery, OfRun, PromptsQuery, RunsQuery, StepsQuery

if TYPE_CHECKING:  # SQLAlchemy takes 0.3 s to import, and is for those who keep a history
    from darling_service.history.store import Store

router = APIRouter(prefix="/v1/history", tags=["history"])


@router.get(
    "/runs",
    summary="Recorded runs",
    responses=ok_response(examples.RUNS_RESPONSE),
    openapi_extra=parameters(RunsQuery),
)
async def runs(request: Request) -> Response:
    """Lists the runs of the API key, the newest first, with the figures of their latest steps.
    Times are in seconds since the epoch."""
    from darling_service.history import reading

    query_of(request.query_params, RunsQuery)
    caller = CALLER.get()
    listed = await service_of(request).history.read(lambda store: reading.runs(store, caller))
    return json_response({"runs": listed})


@router.get(
    "/steps",
    summary="Curves of a run",
    responses=ok_response(examples.STEPS_RESPONSE),
    openapi_extra=parameters(StepsQuery),
)
async def steps(request: Request) -> Response:
    """Returns the figures of a run's steps as columns, with null for what is not known. Where a run
    has more than `points` steps, neighbours are put together, and the last of them is named."""
    from darling_service.history import reading

    query = query_of(request.query_params, StepsQuery)
    run = _run(query)
    columns = await service_of(request).history.read(
        lambda store: reading.steps(store, run, query.after, query.points)
    )
    if columns is None:
        raise NotFound(
            "the history holds no such run of this API key; GET /v1/history/runs lists its runs"
        )
    return json_response(columns)


@router.get(
    "/prompts",
    summary="Prompts of a run that came again",
    responses=ok_response(examples.PROMPTS_RESPONSE),
    openapi_extra=parameters(PromptsQuery),
)
async def prompts(request: Request) -> Response:
    """Returns the prompts of which groups of several steps were kept as a whole, those of the most
    steps first: over them one can see which class dominates, and how its share moves."""
    from darling_service.history import reading

    query = query_of(request.query_params, PromptsQuery)
    run = _run(query)
    listed = await service_of(request).history.read(
        lambda store: reading.prompts(store, run, query.limit)
    )
    return json_response({"prompts": listed})


@router.get(
    "/groups",
    summary="Recorded groups of a run",
    responses=ok_response({"groups": [examples.RECORDED_GROUP]}),
    openapi_extra=parameters(GroupsQuery),
)
async def groups(request: Request) -> Response:
    """Returns groups of a run, or of one of its steps or prompts, that were drawn to be kept as a
    whole."""
    from darling_service.history import reading

    query = query_of(request.query_params, GroupsQuery)
    run = _run(query)

    def look(store: "Store") -> list[dict[str, Any]]:
        if query.prompt is None:
            return reading.groups(store, run, query.step, query.limit)
        return reading.of_prompt(store, run, query.step, query.prompt, query.limit)

    kept = await service_of(request).history.read(look)
    return json_response({"groups": kept})


@router.get(
    "/groups/{id}",
    summary="One recorded group",
    responses=ok_response(examples.RECORDED_GROUP),
    openapi_extra=parameters(RunsQuery),
)
async def group(request: Request, id: str) -> Response:  # noqa: A002 (the name in the path)
    """Returns one group that was kept as a whole."""
    from darling_service.history import reading

    query_of(request.query_params, RunsQuery)
    caller = CALLER.get()
    kept: dict[str, Any] | None = await service_of(request).history.read(
        lambda store: reading.group(store, caller, id)
    )
    if kept is None:
        raise NotFound(
            "the history holds no such group of this API key; GET /v1/history/groups lists those "
            "of a run"
        )
    return json_response(kept)


def _run(query: OfRun) -> RunKey:
    return RunKey.of(CALLER.get(), query.run)
