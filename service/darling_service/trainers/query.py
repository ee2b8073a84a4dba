"""A trainer's URL says what its body cannot: `?n=8&run=exp-7&floor=0.1&threshold=0.4`.

Beside the fields of `Query`, every option of `reward` and of `partition` is a parameter of its own;
a value that is valid JSON is read as JSON, any other as text.
"""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from darling_service.errors import FieldError, Invalid
from darling_service.http.query import query_of
from darling_service.schemas.fields import Name, Wait
from darling_service.schemas.requests import PartitionOptions
from darling_service.schemas.reward_options import RewardOptions

QueryModel = TypeVar("QueryModel", bound="Query")


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int | None = Field(None, ge=1, description="Number of rollouts in a group.")
    run: Name | None = Field(
        None, description="Name of the training run; it keeps groups of several runs apart."
    )
    deadline_s: Wait | None = Field(
        None, description="Seconds to wait for siblings; then those present are the group."
    )
    idle_timeout_s: Wait | None = Field(
        None, description="Seconds without a new sibling after which those present are the group."
    )
    quality: Name | None = Field(None, description="Name of the quality source.")
    model: Name | None = Field(None, description="A name from /v1/models; default: the first.")
    token: str | None = Field(None, description="The API key.")
    reward: RewardOptions = RewardOptions()
    partition: PartitionOptions = PartitionOptions()


def read_query(request: Request, schema: type[QueryModel]) -> QueryModel:
    """The URL's query as `schema`. Raises `Invalid`, which names each wrong parameter."""
    params: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in RewardOptions.model_fields:
            params.setdefault("reward", {})[name] = _json_or_text(value)
        elif name in PartitionOptions.model_fields:
            params.setdefault("partition", {})[name] = _json_or_text(value)
        elif name in ("reward", "partition"):
            message = "is no parameter; write its options one by one, such as ?floor=0.1"
            raise Invalid([FieldError(("query", name), message)])
        else:
            params[name] = value
    return query_of(params, schema)


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
