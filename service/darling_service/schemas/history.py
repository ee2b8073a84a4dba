"""What a request for the history may say in its URL."""

from pydantic import BaseModel, ConfigDict, Field

from darling_service.schemas.fields import Name

DEFAULT_POINTS = 1000
"""Points of a curve unless a request says otherwise: about one for each pixel of a page."""
MAX_POINTS = 10_000
"""Points of a curve: 13 series of as many take 1.5 MB."""
DEFAULT_GROUPS = 20
MAX_GROUPS = 200
"""Groups in one answer: of 64 rollouts each with their probabilities they take 10 MB."""

PROMPT_CHARS = 16
"""Characters of a group's id, 64 bits, that say which prompt it has."""


class RunsQuery(BaseModel):
    # Parameters are text, so numbers are parsed from strings.
    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str | None = Field(None, description="The API key.")


class OfRun(RunsQuery):
    run: Name = Field(description="Name of the training run.")


class StepsQuery(OfRun):
    after: int | None = Field(
        None, ge=-1, lt=2**63, description="Only steps after this one, for polling."
    )
    points: int = Field(
        DEFAULT_POINTS,
        ge=1,
        le=MAX_POINTS,
        description="Most points of each series; neighbouring steps are put together beyond.",
    )


class PromptsQuery(OfRun):
    limit: int = Field(
        DEFAULT_GROUPS, ge=1, le=MAX_GROUPS, description="Most prompts in the answer."
    )


class GroupsQuery(OfRun):
    step: int | None = Field(
        None, ge=0, lt=2**63, description="Training step. Default: all, the newest first."
    )
    prompt: str | None = Field(
        None,
        pattern=f"^[0-9a-f]{{{PROMPT_CHARS}}}$",
        description="A `prompt_id` of /v1/history/prompts: only groups of that prompt, in the "
        "order of their steps and spread over them.",
    )
    limit: int = Field(
        DEFAULT_GROUPS, ge=1, le=MAX_GROUPS, description="Most groups in the answer."
    )
