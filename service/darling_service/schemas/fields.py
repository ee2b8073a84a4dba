"""Types of the values in requests."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from darling_models.fields import verdict
from darling_models.protocol import OperatingPoint
from darling_models.schema_types import NUMBER, TEXT, text_or

MAX_SCORE = 1e30
"""Largest magnitude of a score: squares, summed over a group, stay finite in float64."""


class Strict(BaseModel):
    """Unknown fields are refused by name; numbers are not parsed from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


MAX_NAME_CHARS = 512
"""Characters of a name or an id, such as a run's: trainers write paths and hashes, not texts."""

Name = Annotated[str, Field(max_length=MAX_NAME_CHARS)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Id = Annotated[
    # The JSON writer cannot write an integer beyond 64 bits.
    Annotated[Name, Tag(TEXT)] | Annotated[int, Field(ge=-(2**63), lt=2**63), Tag(NUMBER)],
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
