"""The routes of the review: a person judges pairs of recorded rollouts."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from darling_service.caller import CALLER
from darling_service.errors import NotFound
from darling_service.history.recorded import RunKey
from darling_service.http import review_examples as examples
from darling_service.http.body import body_of
from darling_service.http.deadline import due_of
from darling_service.http.openapi import PROBLEMS, accepts, ok_response
from darling_service.http.query import parameters, query_of
from darling_service.http.responses import json_response
from darling_service.http.state import Service, service_of
from darling_service.schemas.requests import EquivalenceRequest
from darling_service.schemas.requests import Pair as RequestPair
from darling_service.schemas.review import Mark, MarksQuery, PairsQuery

if TYPE_CHECKING:  # SQLAlchemy takes 0.3 s to import, and is for those who keep a history
    from darling_service.history.review import Pair, Question

CONSIDERED = 4
"""Pairs that the second model is asked about, for each pair that is wanted."""
JSON_LINES = "application/jsonl"

router = APIRouter(prefix="/v1/review", tags=["history"])


@router.get(
    "/pairs",
    summary="Pairs to review",
    responses=ok_response(examples.PAIRS_RESPONSE),
    openapi_extra=parameters(PairsQuery),
)
async def pairs(request: Request) -> Response:
    """Returns pairs of a run's recorded rollouts that nobody has marked: those first on which a
    second model disagrees, if one is named, and then those nearest the threshold. At most five are
    of one group."""
    from darling_service.history import review

    query = query_of(request.query_params, PairsQuery)
    service, caller = service_of(request), CALLER.get()
    run = RunKey.of(caller, query.run)
    count = query.limit if query.against is None else query.limit * CONSIDERED
    candidates = await service.history.read(lambda store: review.candidates(store, run, count))
    rows = [{**asdict(pair), "other": None} for pair in candidates]
    if query.against is not None and candidates:
        opinions = await _opinions(service, candidates, query.against, due_of(request))
        rows = [row | {"other": other} for row, other in zip(rows, opinions, strict=True)]
        rows.sort(key=lambda row: not row["other"]["disagrees"])
    marked = await service.history.read(
        lambda store: review.progress(store, caller, review.question_of(store, run))
    )
    return json_response({"run": query.run, "pairs": rows[: query.limit], "progress": marked})


async def _opinions(
    service: Service, candidates: Sequence["Pair"], model: str, due: float
) -> list[dict[str, Any]]:
    """What a second model says of each pair, asked the pair's own question where it can be. Raises
    what `Pipeline.equivalence` raises."""
    opinions: dict[str, dict[str, Any]] = {}
    for pairs in _alike(candidates, service.settings.max_pairs):
        request = EquivalenceRequest(
            pairs=[RequestPair(prompt=pair.prompt, a=pair.a, b=pair.b) for pair in pairs],
            model=model,
            **_question_for(service, model, pairs[0]),
        )
        answer = await service.pipeline.equivalence(request, due)
        for pair, result in zip(pairs, answer.results, strict=True):
            opinions[pair.id] = {
                "model": answer.model.id,
                "probability": result.probability,
                "threshold": answer.model.threshold,
                "disagrees": result.equivalent != (pair.probability > pair.threshold),
            }
    return [opinions[pair.id] for pair in candidates]


def _alike(pairs: Sequence["Pair"], most: int) -> Iterator[list["Pair"]]:
    """Parts of the pairs, of one question and at most `most` each."""
    by_question: dict[Question, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_question[pair.question].append(pair)
    for own in by_question.values():
        yield from (own[start : start + most] for start in range(0, len(own), most))


def _question_for(service: Service, model: str, pair: "Pair") -> dict[str, Any]:
    """The pair's notion or criterion, if the model takes it; else nothing, and its own decides."""
    for info in service.pipeline.models():
        if info.id == model and pair.notion in info.notions:
            return {"notion": pair.notion}
        if info.id == model and pair.criterion is not None and info.instructable:
            return {"criterion": pair.criterion}
    return {}


@router.post(
    "/marks",
    summary="Mark a pair",
    responses=ok_response(examples.MARK_RESPONSE),
    openapi_extra=accepts(Mark, {"same": examples.MARK_REQUEST}),
)
async def mark(request: Request) -> Response:
    """Keeps whether the two texts of a pair are the same to a user. A pair that is marked again has
    its last mark."""
    from darling_service.history import review

    history, caller = service_of(request).history, CALLER.get()
    async with body_of(request, Mark) as body:
        question = await history.read(lambda s: review.mark(s, caller, body.pair, body.same))
    if question is None:
        raise NotFound(
            "the history holds no such pair of this API key, or has dropped its group; "
            "GET /v1/review/pairs lists pairs"
        )
    marked = await history.read(lambda store: review.progress(store, caller, question))
    return json_response({"progress": marked})


@router.get(
    "/marks",
    summary="Marked pairs as training data",
    response_class=Response,
    responses={200: {"description": "JSON lines.", "content": {JSON_LINES: {}}}, **PROBLEMS},
    openapi_extra=parameters(MarksQuery),
)
async def marks(request: Request) -> Response:
    """Returns the marked pairs as JSON lines that `darling-reward train --pairs` reads, in the
    order of marking. Each says in `notion` or `criterion` by what it was judged; one classifier is
    trained on those of one. Pairs that the person could not judge are left out."""
    from darling_service.history import review

    query = query_of(request.query_params, MarksQuery)
    caller = CALLER.get()
    run = None if query.run is None else RunKey.of(caller, query.run)
    by = review.Question(query.notion, query.criterion)
    question = None if by == review.Question(None) else by
    lines = await service_of(request).history.read(
        lambda s: review.labels(s, caller, run, question)
    )
    return Response(b"".join(line + b"\n" for line in lines), media_type=JSON_LINES)
