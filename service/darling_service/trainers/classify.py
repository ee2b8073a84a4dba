"""vLLM's `/classify`, for the published DARLING client: each input is a pair of texts.

    {"model": "similarity_gpu_0", "input": ["[CLS] a [SEP] b [SEP]"]}
    -> {"data": [{"index": 0, "label": "LABEL_1", "probs": [0.1, 0.9], "num_classes": 2}], ...}

The last probability is the pair's P(equivalent). The texts are taken out of the special tokens of
the published backbones. A model name that this service does not know, as the published ones are,
means the default model.
"""

import time
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Discriminator, Field, Tag

from darling_models.schema_types import OBJECT, TEXT, text_or
from darling_service.errors import FieldError, Invalid
from darling_service.http.body import body_of
from darling_service.http.deadline import due_of
from darling_service.http.openapi import accepts, ok_response
from darling_service.http.responses import json_response, while_connected
from darling_service.http.state import service_of
from darling_service.off_loop import in_thread_if_long
from darling_service.schemas.requests import EquivalenceRequest, Pair
from darling_service.schemas.responses import EquivalenceResponse
from darling_service.scoring.limits import over
from darling_service.settings import Settings

MARKS = (
    ("[CLS]", "[SEP]"),  # BERT, DeBERTa, ModernBERT
    ("<cls>", "<sep>"),
    ("<s>", "</s>"),  # RoBERTa
    ("<|im_start|>", "<|im_end|>"),  # Qwen, which has neither of the two
)
"""Special tokens before a pair, and after each of its two texts."""

MAX_MARKS_CHARS = 64
"""Most characters that the special tokens of a pair and the spaces around them have."""

router = APIRouter()


Inputs = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[list[str], Field(fail_fast=True), Tag(OBJECT)],
    Discriminator(text_or(OBJECT)),
]
"""One input or several; several are looked at up to the first that is no text."""


class ClassifyRequest(BaseModel):
    input: Inputs = Field(description="One or more pairs, each as [CLS] a [SEP] b [SEP].")
    model: str | None = Field(
        None, description="A name from /v1/models; any other means the default model."
    )


EXAMPLE = {"model": "similarity_gpu_0", "input": ["[CLS] Lisbon. [SEP] Kyoto. [SEP]"]}
ANSWER: dict[str, Any] = {
    "id": "classify-1",
    "object": "list",
    "created": 1790000000,
    "model": "similarity_gpu_0",
    "data": [{"index": 0, "label": "LABEL_0", "probs": [0.97, 0.03], "num_classes": 2}],
    "usage": {"prompt_tokens": 9, "total_tokens": 9, "completion_tokens": 0},
}


@router.post(
    "/classify",
    summary="vLLM's classify: equivalence probabilities of pairs",
    responses=ok_response(ANSWER),
    openapi_extra=accepts(ClassifyRequest, {"one pair": EXAMPLE}),
)
async def classify(request: Request) -> Response:
    """Returns the probability that the two texts of each input are equivalent, as the last of the
    two class probabilities of vLLM's format."""
    service, due = service_of(request), due_of(request)
    async with body_of(request, ClassifyRequest) as body:
        inputs = [body.input] if isinstance(body.input, str) else body.input
        if not inputs:
            raise Invalid([FieldError(("input",), "must not be empty")])
        known = body.model in {info.id for info in service.pipeline.models()}
        model = body.model if known else None
        equivalence = await in_thread_if_long(
            lambda: EquivalenceRequest(pairs=_pairs(inputs, service.settings), model=model), inputs
        )
        answer = await while_connected(request, service.pipeline.equivalence(equivalence, due), due)
        return await in_thread_if_long(lambda: json_response(_content(answer, body.model)), inputs)


def _content(answer: EquivalenceResponse, model: str | None) -> dict[str, Any]:
    """The answer in vLLM's format."""
    return {
        "id": f"classify-{uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": model or answer.model.id,
        "data": [
            {
                "index": index,
                "label": f"LABEL_{int(result.equivalent)}",
                "probs": [1.0 - result.probability, result.probability],
                "num_classes": 2,
            }
            for index, result in enumerate(answer.results)
        ],
        "usage": {
            "prompt_tokens": answer.usage.tokens,
            "total_tokens": answer.usage.tokens,
            "completion_tokens": 0,
        },
    }


def _pairs(inputs: list[str], settings: Settings) -> list[Pair]:
    """The pairs in the inputs. Raises `Invalid` if an input is over a limit, or is no pair."""
    if len(inputs) > settings.max_pairs:
        message = over("pairs", len(inputs), "max_pairs", settings.max_pairs)
        raise Invalid([FieldError(("input",), message)])
    for place, text in enumerate(inputs):
        if len(text) > 2 * settings.max_chars + MAX_MARKS_CHARS:
            message = (
                f"{len(text)} characters are over two texts of max_chars = {settings.max_chars}; "
                "shorten the texts or raise DARLING_MAX_CHARS"
            )
            raise Invalid([FieldError(("input", place), message)])
    return [pair_in(text, place) for place, text in enumerate(inputs)]


def pair_in(text: str, place: int = 0) -> Pair:
    """The pair of texts in an input. Raises `Invalid` if the input is not written as a pair.

    Where a text contains the separator itself, the separator nearest to the middle parts the pair.
    """
    bare = text.strip()
    for before, after in MARKS:
        if bare.startswith(before) and bare.endswith(after):
            inner = bare[len(before) : -len(after)]
            if (cut := _middle(inner, after)) is not None:
                return Pair(a=_unspaced(inner[:cut]), b=_unspaced(inner[cut + len(after) :]))
    known = ", ".join(f"{before} a {after} b {after}" for before, after in MARKS)
    raise Invalid(
        [FieldError(("input", place), f"is not a pair of texts; write it as one of: {known}")]
    )


def _middle(text: str, separator: str) -> int | None:
    """Where the separator nearest to the middle of `text` begins; None if there is none."""
    middle = (len(text) - len(separator)) // 2
    cuts = [text.rfind(separator, 0, middle + len(separator)), text.find(separator, middle)]
    cuts = [cut for cut in cuts if cut >= 0]
    return min(cuts, key=lambda cut: abs(2 * cut + len(separator) - len(text)), default=None)


def _unspaced(text: str) -> str:
    """`text` without the space that the published client writes on each side."""
    return text.removeprefix(" ").removesuffix(" ")
