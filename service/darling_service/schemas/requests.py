"""What a request may say: the pydantic models behind validation and OpenAPI."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from darling_models.final_answers.plain_form import is_blank
from darling_models.protocol import Linkage
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
    role: str = Field(description="Who speaks, such as user.")
    content: str = Field(description="What is said.")


Prompt = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[list[Message], Tag(MESSAGES)],
    Discriminator(text_or(MESSAGES)),
]


def _not_blank(reference: str) -> str:
    if is_blank(reference):
        raise ValueError(
            "blank, so that every rollout without an answer would be right; send the right answer, "
            "or leave reference out"
        )
    return reference


Reference = Annotated[str, AfterValidator(_not_blank)]


class Rollout(Strict):
    text: str = Field(description="The response; it may be empty.")
    quality: Score | None = Field(None, description="The task's own reward for this rollout.")
    answer: str | None = Field(
        None, description="Final answer of the rollout, compared with the group's `reference`."
    )
    correct: bool | None = Field(
        None, description="A verifier's verdict: whether the rollout is correct."
    )
    logprob: Score | None = Field(
        None, description="Mean log-probability per token; unlikelihood and unlikeliness need it."
    )
    solutions: list[list[Score]] | None = Field(
        None,
        description="Scores of each solution in the rollout; the vector objective needs them.",
    )


RolloutInput = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[Rollout, Tag(OBJECT)],
    Discriminator(text_or(OBJECT)),
]


class Prompted(Strict):
    prompt: Prompt = Field(description="The prompt: a text, or chat messages.")

    def prompt_text(self) -> str:
        """The prompt as one text; a single message reads the same as the plain string."""
        if isinstance(self.prompt, str):
            return self.prompt
        if len(self.prompt) == 1:
            return self.prompt[0].content
        return "\n\n".join(f"{m.role}: {m.content}" for m in self.prompt)


class PromptGroup(Prompted):
    """One prompt and the rollouts sampled for it."""

    id: Id | None = Field(None, description="A name for the group, repeated in the response.")
    rollouts: list[RolloutInput] = Field(min_length=1)

    def texts(self) -> list[str]:
        return [r if isinstance(r, str) else r.text for r in self.rollouts]

    def column(self, name: str) -> list[Any]:
        """A field of every rollout; None where a rollout does not give it."""
        return [None if isinstance(r, str) else getattr(r, name) for r in self.rollouts]


class Group(PromptGroup):
    quality: list[Score] | None = Field(
        None, description="Quality of every rollout, instead of a number in each of them."
    )
    reference: Reference | None = Field(
        None,
        description="Right answer. Without quality, a rollout gets 1 if its `answer` equals it, "
        "else 0.",
    )


class PartitionOptions(Strict):
    linkage: Linkage | None = Field(
        None, description="Algorithm that makes classes of pairs. Default: the model's own."
    )
    threshold: Threshold | None = Field(None, description=THRESHOLD)
    short_answer_rule: bool = Field(
        False, description="Decide pairs of at most 5 words by the words they share, as published."
    )


class Run(Strict):
    name: str = Field(description="Name of the training run.")
    step: int | None = Field(None, ge=0, lt=2**63, description="Training step.")


RunOrName = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[Run, Tag(OBJECT)], Discriminator(text_or(OBJECT))
]


class Request(Strict):
    model: str | None = Field(
        None, description="A name from /v1/models. Default: the first of them."
    )


class GroupsRequest(Request):
    partition: PartitionOptions = PartitionOptions()
    return_probabilities: bool = Field(
        False, description="Add the (n, n) matrix of P(equivalent) to each group."
    )
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
    group_id: Id = Field(description="Name of the group, the same in all requests of its rollouts.")
    attempt: int = Field(
        0, ge=0, lt=2**63, description="Sampling attempt; raise it when the group is sampled again."
    )
    member_id: Id | None = Field(
        None,
        description="Name of the rollout in its group, kept in a retry. Without it, a retry is "
        "known by its text, and only once its first caller has gone.",
    )
    group_size: int | None = Field(None, ge=1, description="Number of rollouts in the group.")
    reference: Reference | None = Field(
        None,
        description="Right answer. Without quality, the rollout gets 1 if its `answer` equals it, "
        "else 0.",
    )
    deadline_s: Wait | None = Field(
        None, description="Seconds to wait for siblings; then those that have come are the group."
    )
    idle_timeout_s: Wait | None = Field(
        None,
        description="Seconds without a new sibling after which those that have come are the group. "
        "Default: no limit where the group's size is known, else `cohort_idle_timeout_s`.",
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
        description="Fraction of the group's quality range. Rollouts within it of the best count "
        "as good, within it of the worst as bad.",
    )


class Pair(Prompted):
    prompt: Prompt = Field("", description="The prompt that both texts answer.")
    a: str = Field(description="One text.")
    b: str = Field(description="The other text; the order does not matter.")


class EquivalenceRequest(Request):
    pairs: list[Pair] = Field(min_length=1)
    threshold: Threshold | None = Field(None, description=THRESHOLD)
