"""What a request about the review of pairs may say."""

from typing import Self

from pydantic import Field, model_validator

from darling_models.protocol import Notion
from darling_service.schemas.fields import Criterion, Name, Strict, Verdict
from darling_service.schemas.history import OfRun, RunsQuery
from darling_service.schemas.requests import refuse_two_questions

DEFAULT_PAIRS = 20
MAX_PAIRS = 100
"""Pairs in one answer: more than a person judges between two looks at the list."""


class PairsQuery(OfRun):
    limit: int = Field(DEFAULT_PAIRS, ge=1, le=MAX_PAIRS, description="Most pairs in the answer.")
    against: Name | None = Field(
        None,
        description="A second model, by a name from /v1/models; pairs on which the two disagree "
        "come first.",
    )


class MarksQuery(RunsQuery):
    run: Name | None = Field(None, description="Name of the training run. Default: all runs.")
    notion: Notion | None = Field(
        None, description="Only pairs that were judged by this notion. Default: all."
    )
    criterion: Criterion | None = Field(
        None, description="Only pairs that were judged by this criterion. Default: all."
    )

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        refuse_two_questions(self.notion, self.criterion)
        return self


class Mark(Strict):
    pair: Name = Field(description="The pair's id, from `GET /v1/review/pairs`.")
    same: Verdict | None = Field(
        description="Whether a user who has seen one of the two gains nothing from the other; null "
        "where the person cannot tell."
    )
