"""The objectives that are compared: what is asked of the service, and about which text."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Compared:
    asked: dict[str, Any]
    """Fields of `POST /v1/rewards` beside the groups."""
    normal_form: bool = True
    """Whether the service is sent the expression's normal form, or what the policy wrote."""


DARLING = {"objective": "darling"}

OBJECTIVES = {
    "quality": Compared({"reward": {"objective": "quality"}, "model": "exact"}),
    "darling": Compared({"reward": DARLING, "model": "exact"}),
    "ngram": Compared({"reward": DARLING | {"diversity": "ngram"}, "model": "exact"}, False),
    "additive": Compared({"reward": {"objective": "additive"}, "model": "exact"}),
    # `recall`, as pairs of expressions get low probabilities, though in the right order.
    "classifier": Compared(
        {"reward": DARLING, "model": "embedded", "partition": {"threshold": "recall"}}, False
    ),
}
