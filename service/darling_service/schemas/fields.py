"""Types of the values in requests."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from darling_models.fields import verdict
from darling_models.protocol import OperatingPoint

MAX_SCORE = 1e30
"""Largest magnitude of a score: squares, summed over a group, stay finite in float64."""


class Strict(BaseModel):
    """Unknown fields are refused by name; numbers are not parsed from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# Tags of the unions below. They occur in pydantic's error paths; `parse` drops them from ours.
TEXT, MESSAGES, OBJECT, NUMBER = "#text", "#messages", "#object", "#number"
TAGS = frozenset({TEXT, MESSAGES, OBJECT, NUMBER})


def text_or(tag: str) -> Callable[[Any], str]:
    """A discriminator of two alternatives: text, and whatever `tag` stands for."""
    return lambda value: TEXT if isinstance(value, str) else tag


Item = TypeVar("Item")
Items = Annotated[list[Item], Field(fail_fast=True)]
"""A list that is left at its first bad item, so that a million bad ones are one error."""
Number = Annotated[float, Field(allow_inf_nan=False)]
Id = Annotated[
    # The JSON writer cannot write an integer beyond 64 bits.
    Annotated[str, Tag(TEXT)] | Annotated[int, Field(ge=-(2**63), lt=2**63), Tag(NUMBER)],
    Discriminator(text_or(NUMBER)),
]
Threshold = Annotated[
    Annotated[OperatingPoint, Tag(TEXT)] | Annotated[float, Field(ge=0, le=1), Tag(NUMBER)],
    Discriminator(text_or(NUMBER)),
]
THRESHOLD = (
    "Probability above which two texts are equivalent: a number from 0 to 1, or balanced, "
    "precision or recall if the model has operating points. Default: the model's own."
)
Verdict = Annotated[bool, BeforeValidator(verdict)]
"""true, false, 1 or 0, as in files: other numbers and texts are refused, not taken for true."""
TEXT_RULE = (
    "What of a rollout is compared: answer (what follows the reasoning, of the policy's own "
    "words), last (the same of its last turn), reasoning, assistant (all its own words) or all "
    "(tools' output, too)."
)
Wait = Annotated[Number, Field(gt=0, le=86_400)]
"""Seconds to wait, at most a day."""
Score = Annotated[Number, Field(ge=-MAX_SCORE, le=MAX_SCORE)]
