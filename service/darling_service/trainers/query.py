"""A trainer's URL says what its body cannot: `?n=8&run=exp-7&floor=0.1&threshold=0.4`.

Beside the fields of `Query`, every option of `reward` and of `partition` is a parameter of its own;
a value that is valid JSON is read as JSON, any other as text.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from darling_service.errors import FieldError, Invalid
from darling_service.http.openapi import REFERENCE
from darling_service.http.query import query_of
from darling_service.schemas.fields import Name, Wait
from darling_service.schemas.requests import PartitionOptions
from darling_service.schemas.reward_options import RewardOptions

QueryModel = TypeVar("QueryModel", bound="Query")

NO_PARAMETERS = frozenset({"reward", "partition", "token"})
"""Fields of `Query` that are not described as parameters: the options are, one by one, and the key
is a way to authenticate."""


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
    names = Counter(name for name, _ in request.query_params.multi_items())
    if twice := [name for name, times in names.items() if times > 1]:
        message = "is in the URL more than once; send it once"
        raise Invalid([FieldError(("query", name), message) for name in twice])
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


def parameters(schema: type[Query]) -> list[dict[str, Any]]:
    """The parameters of a trainer's route as OpenAPI describes them, without the key's."""
    own = schema.model_json_schema(ref_template=REFERENCE)["properties"]
    options = {
        name: field
        for model in (RewardOptions, PartitionOptions)
        for name, field in model.model_json_schema(ref_template=REFERENCE)["properties"].items()
    }
    told = {name: _without_null(own[name]) for name in own if name not in NO_PARAMETERS} | options
    return [_parameter(name, field) for name, field in told.items()]


def _without_null(field: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a field that is no JSON, so that null cannot be written."""
    schema = dict(field)
    if schema.get("default", ...) is None:
        del schema["default"]
        (kind,) = [one for one in schema.pop("anyOf") if one != {"type": "null"}]
        schema |= kind
    return schema


def _parameter(name: str, field: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in field.items() if key not in ("title", "description")}
    described = {"name": name, "in": "query", "description": field["description"]}
    if "$ref" in schema:  # an object, written as JSON
        return {**described, "content": {"application/json": {"schema": schema}}}
    return {**described, "schema": schema}


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
