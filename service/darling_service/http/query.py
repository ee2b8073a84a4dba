"""The query of a URL, as a schema: each wrong parameter is named."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from darling_service.errors import FieldError, Invalid
from darling_service.schemas.parse import validate

Schema = TypeVar("Schema", bound=BaseModel)


def query_of(params: Mapping[str, Any], schema: type[Schema]) -> Schema:
    """The parameters as `schema`. Raises `Invalid`."""
    try:
        return validate(params, schema)
    except Invalid as problem:
        raise Invalid([FieldError(("query", *e.loc), e.msg) for e in problem.errors]) from None


def parameters(schema: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes the fields of `schema` in its query."""
    listed = []
    for name, field in schema.model_json_schema()["properties"].items():
        described = {key: value for key, value in field.items() if key not in ("title", "default")}
        text = described.pop("description")
        required = schema.model_fields[name].is_required()
        place = {"name": name, "in": "query", "required": required, "description": text}
        listed.append({**place, "schema": described})
    return {"parameters": listed}
