"""Types of the values in requests."""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from darling_models.fields import verdict
from darling_models.protocol import OperatingPoint
from darling_models.schema_types import NUMBER, TEXT, text_or
from darling_models.texts.special_tokens import is_blank

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
NOTION = (
    "What makes two texts equivalent: answer (they say the same, by whatever method) or approach "
    "(they use the same method, whatever they come to), if the model can be told; /v1/models lists "
    "its notions. Default: the model's own."
)
MAX_CRITERION_CHARS = 4_000
"""Characters of a criterion: a page. It is part of each question to a judge, one for each pair."""


def _says_something(criterion: str) -> str:
    if is_blank(criterion):
        raise ValueError("blank; say when two texts are the same, or leave it out")
    return criterion


Criterion = Annotated[str, Field(max_length=MAX_CRITERION_CHARS), AfterValidator(_says_something)]
CRITERION = (
    'When two texts are the same, in words for an LLM judge, such as "Two jokes are the same if '
    'they have the same punch line." It takes the place of `notion`.'
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
