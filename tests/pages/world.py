"""What the pages' Python snippets take as given: a reader's model, data and quality function."""

from typing import Any
from unittest.mock import MagicMock


def quality(*arguments: Any, **columns: Any) -> Any:
    """Stands for the reader's quality function, which adapters only keep."""
    raise AssertionError("a snippet builds an adapter and does not call it")


class Base:
    """Stands for a class of a trainer that a snippet derives from."""


UIDS = ["a", "b", "a", "b"]
NAMES: dict[str, Any] = {
    "quality": quality,
    "reward_fn": quality,
    "model": MagicMock(),
    "dataset": MagicMock(),
    "AsyncRewardWrapper": lambda function: function,
    **dict.fromkeys(("BasePPOExp", "MyDatasetBuilder", "RolloutWorkflow"), Base),
    "SkyRLGymGenerator": type("SkyRLGymGenerator", (), {}),
    "uids": UIDS,
    "prompts": ["Name a colour.", "Name a city.", "Name a colour.", "Name a city."],
    "qualities": [1.0, 1.0, 0.5, 1.0],
    "texts": ["Blue.", "Lisbon", "Red.", "Lisbon"],
}
