"""What a request may say: the pydantic models behind validation and OpenAPI."""

from typing import Annotated, Any, Self

from darling_models.protocol import Linkage
from pydantic import Discriminator, Field, Tag, model_validator

from darling_service.schemas.fields import (
    MESSAGES,
    OBJECT,
    TEXT,
    THRESHOLD,
    Id,
    Score,
    Strict,
    Threshold,
    Wait,
    text_or,
)
from darling_service.schemas.reward_options import RankingName, RewardOptions


class Message(Strict):
    role: str
    content: str


Prompt = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[list[Message], Tag(MESSAGES)],
    Discriminator(text_or(MESSAGES)),
]


class Rollout(Strict):
    text: str = Field(description="The response. Empty is legal.")
    quality: Score | None = Field(None, description="The task's own reward.")
    answer: str | None = Field(None, description="Final answer, compared with `reference`.")
    correct: bool | None = Field(None, description="A verifier's verdict.")
    logprob: Score | None = Field(
        None, description="Mean log-probability per token, for unlikelihood and unlikeliness."
    )
    solutions: list[list[Score]] | None = Field(
        None, description="For the vector objective: the scores of each solution it holds."
    )


RolloutInput = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[Rollout, Tag(OBJECT)],
    Discriminator(text_or(OBJECT)),
]


class Prompted(Strict):
    prompt: Prompt

    def prompt_text(self) -> str:
        """The prompt as one text; a single message reads the same as the plain string."""
        if isinstance(self.prompt, str):
            return self.prompt
        if len(self.prompt) == 1:
            return self.prompt[0].content
        return "\n\n".join(f"{m.role}: {m.content}" for m in self.prompt)


class PromptGroup(Prompted):
    """One prompt and the rollouts sampled for it."""

    id: Id | None = Field(None, description="Echoed in the answer.")
    rollouts: list[RolloutInput] = Field(min_length=1)

    def texts(self) -> list[str]:
        return [r if isinstance(r, str) else r.text for r in self.rollouts]

    def column(self, name: str) -> list[Any]:
        """A field of every rollout; None where a rollout does not give it."""
        return [None if isinstance(r, str) else getattr(r, name) for r in self.rollouts]


class Group(PromptGroup):
    quality: list[Score] | None = Field(
        None, description="A column, instead of a number in each rollout."
    )
    reference: str | None = Field(
        None, description="Right answer: rollouts without quality get 1 if `answer` equals it."
    )


class PartitionOptions(Strict):
    linkage: Linkage | None = Field(None, description="Default: the model's own.")
    threshold: Threshold | None = Field(None, description=THRESHOLD)
    short_answer_rule: bool = Field(
        False, description="Judge pairs of at most 5 words by word overlap, as published."
    )


class Run(Strict):
    name: str
    step: int | None = Field(None, ge=0, lt=2**63)


RunOrName = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[Run, Tag(OBJECT)], Discriminator(text_or(OBJECT))
]


class Request(Strict):
    model: str | None = Field(None, description="A name from /v1/models; default: the first.")


class GroupsRequest(Request):
    partition: PartitionOptions = PartitionOptions()
    return_probabilities: bool = Field(False, description="Add the n x n matrix to each group.")
    run: Run | None = Field(None, description="The training run and step this belongs to.")


class Rewarded(Strict):
    """What every request that asks for rewards may choose."""

    partition: PartitionOptions = PartitionOptions()
    reward: RewardOptions = RewardOptions()

    @model_validator(mode="after")
    def _parity(self) -> Self:
        fixed = self.partition.model_fields_set & {"linkage", "short_answer_rule"}
        if self.reward.parity and fixed:
            raise ValueError(
                "parity fixes single linkage and the short-answer rule; drop partition."
                + " and partition.".join(sorted(fixed))
            )
        return self

    def resolved(self) -> Self:
        """The request with what `parity` stands for written out."""
        if self.reward.parity is None:
            return self
        fixed = {"linkage": "single", "short_answer_rule": True}
        return self.model_copy(
            update={
                "reward": self.reward.resolved(),
                "partition": self.partition.model_copy(update=fixed),
            }
        )


class RewardRequest(Rewarded, GroupsRequest):
    groups: list[Group] = Field(min_length=1)


class RolloutRequest(Rewarded, Rollout, Prompted, Request):
    """One rollout of a group whose siblings come in requests of their own."""

    run: RunOrName | None = Field(None, description="The training run this belongs to.")
    group_id: Id = Field(description="The same for all rollouts of the group.")
    attempt: int = Field(0, ge=0, lt=2**63, description="Of the group, when it is sampled anew.")
    member_id: Id | None = Field(
        None,
        description="Of the rollout in its group, kept in a retry. Without it, a retry is known by "
        "its text, and only once its first caller has gone.",
    )
    group_size: int | None = Field(None, ge=1, description="Rollouts to wait for.")
    reference: str | None = Field(
        None, description="Right answer: without quality, 1 if `answer` equals it."
    )
    deadline_s: Wait | None = Field(
        None, description="Seconds to wait for siblings; then those present are the group."
    )
    idle_timeout_s: Wait | None = Field(
        None,
        description="Seconds without a new sibling after which those present are the group. "
        "Default: never where the group's size is known.",
    )

    def group(self, rollouts: list[Rollout]) -> RewardRequest:
        """These rollouts as one group, scored as this request asks."""
        # Everything in here has been validated. The id tells this group's visits from another's.
        group = Group.model_construct(
            id=f"{self.attempt} {type(self.group_id).__name__} {self.group_id}",
            prompt=self.prompt,
            rollouts=list(rollouts),
            reference=self.reference,
        )
        return RewardRequest.model_construct(
            groups=[group],
            reward=self.reward,
            partition=self.partition,
            model=self.model,
            run=Run(name=self.run) if isinstance(self.run, str) else self.run,
        )

    def rollout(self) -> Rollout:
        return Rollout(
            text=self.text,
            quality=self.quality,
            answer=self.answer,
            correct=self.correct,
            logprob=self.logprob,
            solutions=self.solutions,
        )


class PartitionRequest(GroupsRequest):
    groups: list[PromptGroup] = Field(min_length=1)


class PreferenceRequest(GroupsRequest):
    groups: list[Group] = Field(min_length=1)
    diversity: RankingName = Field(
        "partition", description="Measure of how distinct a rollout is from its group."
    )
    share: float = Field(
        0.2,
        gt=0,
        lt=0.5,
        description="Of the range of quality: so far from the best is good, from the worst bad.",
    )


class Pair(Prompted):
    prompt: Prompt = ""
    a: str
    b: str


class EquivalenceRequest(Request):
    pairs: list[Pair] = Field(min_length=1)
    threshold: Threshold | None = Field(None, description=THRESHOLD)
