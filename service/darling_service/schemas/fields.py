"""Kinds of values that requests are made of."""

from collections.abc import Callable
from typing import Annotated, Any

from darling_models.protocol import OperatingPoint
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

MAX_SCORE = 1e30
"""What a group's sums and squares stay finite with."""


class Strict(BaseModel):
    """Unknown fields are refused by name; numbers are not parsed from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# Tags of the unions below; they show in pydantic's error paths and are dropped from ours.
TEXT, MESSAGES, OBJECT, NUMBER = "#text", "#messages", "#object", "#number"
TAGS = frozenset({TEXT, MESSAGES, OBJECT, NUMBER})


def text_or(tag: str) -> Callable[[Any], str]:
    return lambda value: TEXT if isinstance(value, str) else tag


Number = Annotated[float, Field(allow_inf_nan=False)]
Id = Annotated[
    # The JSON writer cannot give back an integer beyond 64 bits.
    Annotated[str, Tag(TEXT)] | Annotated[int, Field(ge=-(2**63), lt=2**63), Tag(NUMBER)],
    Discriminator(text_or(NUMBER)),
]
Threshold = Annotated[
    Annotated[OperatingPoint, Tag(TEXT)] | Annotated[float, Field(ge=0, le=1), Tag(NUMBER)],
    Discriminator(text_or(NUMBER)),
]
THRESHOLD = (
    "Equivalent above this: a number, or balanced, precision or recall where the model has them. "
    "Default: the model's own."
)
Wait = Annotated[Number, Field(gt=0, le=86_400)]
Score = Annotated[Number, Field(ge=-MAX_SCORE, le=MAX_SCORE)]
