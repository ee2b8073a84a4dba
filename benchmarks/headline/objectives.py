"""The objectives that are compared: the request to the service, and the text it is about."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Compared:
    asked: dict[str, Any]
    """The fields of `POST /v1/rewards` other than `groups`."""
    normal_form: bool = True
    """Whether the service gets the normal form of the expression instead of the raw text."""


DARLING = {"objective": "darling"}

OBJECTIVES = {
    "quality": Compared({"reward": {"objective": "quality"}, "model": "exact"}),
    "darling": Compared({"reward": DARLING, "model": "exact"}),
    "ngram": Compared({"reward": DARLING | {"diversity": "ngram"}, "model": "exact"}, False),
    "additive": Compared({"reward": {"objective": "additive"}, "model": "exact"}),
    "classifier": Compared({"reward": DARLING, "model": "embedded"}, False),
}
