"""A trainer's URL: what its body cannot say, as `?n=8&run=exp-7&floor=0.1&threshold=0.4`.

Beside the fields of `Query`, every option of `reward` and of `partition` may stand there by its own
name; values that are no plain words are JSON.
"""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from darling_service.errors import FieldError, Invalid
from darling_service.http.body import valid
from darling_service.schemas.fields import Wait
from darling_service.schemas.requests import PartitionOptions
from darling_service.schemas.reward_options import RewardOptions

Chosen = TypeVar("Chosen", bound="Query")


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int | None = Field(None, ge=1, description="Rollouts of a group.")
    run: str | None = Field(None, description="Keeps the groups of several trainings apart.")
    deadline_s: Wait | None = None
    idle_timeout_s: Wait | None = None
    quality: str | None = Field(None, description="A quality source.")
    model: str | None = None
    token: str | None = Field(None, description="The API key.")
    reward: RewardOptions = RewardOptions()
    partition: PartitionOptions = PartitionOptions()


def read_query(request: Request, schema: type[Chosen]) -> Chosen:
    """Raises `Invalid` naming each parameter that is unknown or wrong."""
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in RewardOptions.model_fields:
            given.setdefault("reward", {})[name] = _json_or_text(value)
        elif name in PartitionOptions.model_fields:
            given.setdefault("partition", {})[name] = _json_or_text(value)
        elif name in ("reward", "partition"):
            message = "name its options one by one, such as ?floor=0.1"
            raise Invalid([FieldError(("query", name), message)])
        else:
            given[name] = value
    try:
        return valid(given, schema)
    except Invalid as problem:
        raise Invalid([FieldError(("query", *e.loc), e.msg) for e in problem.errors]) from None


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
