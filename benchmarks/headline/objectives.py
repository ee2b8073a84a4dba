"""The objectives that are compared: what is asked of the service, and about which text."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Compared:
    asked: dict[str, Any]
    """Options of `POST /v1/rewards`."""
    model: str = "exact"
    """What says that two texts are the same strategy."""
    normal_form: bool = True
    """Whether the service is sent the expression's normal form, or what the policy wrote."""
    trainer: dict[str, Any] = field(default_factory=dict)
    """Options of `GRPOConfig` that differ."""


OBJECTIVES = {
    "quality": Compared({"objective": "quality"}),
    "darling": Compared({"objective": "darling"}),
    "classifier": Compared({"objective": "darling"}, model="embedded", normal_form=False),
    "ngram": Compared({"objective": "darling", "diversity": "ngram"}, normal_form=False),
    "additive": Compared({"objective": "additive"}),
}
