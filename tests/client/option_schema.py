"""The options of a request as the client knows them, from the service's own schemas.

python -m tests.client.option_schema   # writes the client's copy anew
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from darling_service.schemas.requests import PartitionOptions
from darling_service.schemas.reward_options import RewardOptions

COPY = Path(__file__).parents[2] / "clients/python/darling_client/trainers/options.json"
WORDS = frozenset({"title", "description", "default"})
"""Keywords of JSON Schema that say nothing about what is valid."""


def option_schema() -> dict[str, Any]:
    """A JSON Schema for each of a request's `reward` and `partition`."""
    models: dict[str, type[BaseModel]] = {"reward": RewardOptions, "partition": PartitionOptions}
    return {name: _inlined(model.model_json_schema()) for name, model in models.items()}


def _inlined(schema: dict[str, Any]) -> Any:
    """The schema with its references replaced by what they refer to, and without words."""
    definitions = schema.get("$defs", {})

    def inlined(part: Any, is_mapping_of_names: bool = False) -> Any:
        if isinstance(part, list):
            return [inlined(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inlined(definitions[part["$ref"].rpartition("/")[2]])
        return {
            name: inlined(item, name == "properties")
            for name, item in part.items()
            if is_mapping_of_names or name not in {*WORDS, "$defs"}
        }

    return inlined(schema)


def text() -> str:
    return json.dumps(option_schema(), indent=1) + "\n"


if __name__ == "__main__":
    COPY.write_text(text())
