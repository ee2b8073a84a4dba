"""The OpenAPI document: schemas of request bodies, worked examples, and the shape of problems.

The routes read their bodies themselves, so FastAPI does not know their schemas.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from darling_service.http.auth import OPEN

_bodies: dict[str, type[BaseModel]] = {}
"""Schemas of all request bodies, by name; `accepts` adds them."""
REFERENCE = "#/components/schemas/{model}"
PROBLEM = {
    "description": "A problem (RFC 9457) that says what is wrong, where, and what to do.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "request_id": {
                        "type": "string",
                        "description": "The request's X-Request-ID, by which the log names it.",
                    },
                    "errors": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"loc": {"type": "array"}, "msg": {"type": "string"}},
                        },
                    },
                },
            }
        }
    },
}

PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": PROBLEM, "5XX": PROBLEM}


TAGS = {
    "scoring": "Rewards, partitions and preferences of whole groups, and probabilities of pairs.",
    "cohorts": "Rollouts that are sent one by one and wait for the others of their group.",
    "trainers": "Routes in the wire formats of trainers that call a reward over HTTP.",
    "history": "What is known of training runs, where the service keeps a history.",
    "models": "The classifiers that requests may name, and the limits on a request.",
    "health": "Probes and metrics for whoever runs the service.",
}
"""Topics of the routes, in the order of the documentation."""
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "The service's `api_key`; leave it empty where the service has none. Trainers "
    "that cannot set a header may send the key as the password of `Authorization: Basic` or as "
    "`?token=KEY`.",
}


def accepts(
    schema: type[BaseModel],
    examples: Mapping[str, Any],
    parameters: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """`openapi_extra` for a route whose JSON body is `schema` and whose URL has parameters."""
    _bodies[schema.__name__] = schema
    content = {
        "schema": {"$ref": REFERENCE.format(model=schema.__name__)},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    body = {"required": True, "content": {"application/json": content}}
    return {"requestBody": body, "parameters": list(parameters)}


def ok_response(example: Any) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: an example of its answer, and the shape of every problem."""
    success = {"description": "The answer.", "content": {"application/json": {"example": example}}}
    return {200: success, **PROBLEMS}


def describe(app: FastAPI) -> dict[str, Any]:
    """The app's OpenAPI document with the schemas of request bodies; it is made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        _, definitions = models_json_schema(
            [(schema, "validation") for schema in _bodies.values()], ref_template=REFERENCE
        )
        document["components"]["schemas"].update(definitions["$defs"])
        document["components"]["securitySchemes"] = {"key": BEARER}
        document["security"] = [{"key": []}]
        for path in OPEN & document["paths"].keys():
            for operation in document["paths"][path].values():
                operation["security"] = []
        app.openapi_schema = document
    return app.openapi_schema
