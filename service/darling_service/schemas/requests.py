"""What a request may say: the pydantic models behind validation and OpenAPI."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from darling_models.protocol import Linkage, Notion
from darling_models.schema_types import MESSAGES, OBJECT, TEXT, Items, text_or
from darling_models.texts.messages import Conversation, Prompt, Response, TextOrMessages
from darling_models.texts.rule import TextRule
from darling_models.texts.special_tokens import is_blank
from darling_service.schemas.fields import (
    CRITERION,
    NOTION,
    TEXT_RULE,
    THRESHOLD,
    Criterion,
    Id,
    Name,
    Score,
    Strict,
    Threshold,
    Verdict,
    Wait,
)
from darling_service.schemas.reward_options import RankingName, RewardOptions


def _not_blank(reference: str) -> str:
    if is_blank(reference):
        raise ValueError(
            "blank, so that every rollout without an answer would be right; send the right answer, "
            "or leave reference out"
        )
    return reference


Reference = Annotated[str, AfterValidator(_not_blank)]


class Rollout(TextOrMessages):
    quality: Score | None = Field(None, description="The task's own reward for this rollout.")
    answer: str | None = Field(
        None,
        description="Final answer of the rollout, compared with the group's `reference`; null or "
        "empty where it has none.",
    )
    correct: Verdict | None = Field(
        None, description="A verifier's verdict: whether the rollout is correct; 1 or 0 do as well."
    )
    logprob: Score | None = Field(
        None,
        description="Mean log-probability per token; unlikelihood, unlikeliness and smoothing need "
        "it.",
    )
    solutions: Items[Items[Score]] | None = Field(
        None,
        description="Scores of each solution in the rollout; the vector objective needs them.",
    )


def _kind_of_rollout(value: Any) -> str:
    return TEXT if isinstance(value, str) else MESSAGES if isinstance(value, list) else OBJECT


RolloutInput = Annotated[
    Annotated[str, Tag(TEXT)]
    | Annotated[Conversation, Tag(MESSAGES)]
    | Annotated[Rollout, Tag(OBJECT)],
    Discriminator(_kind_of_rollout),
]
"""A rollout: its text, its messages, or an object with either and what is known about it."""


def response_of(rollout: RolloutInput) -> Response:
    """What the policy wrote: a text, or messages."""
    return rollout.response() if isinstance(rollout, Rollout) else rollout


class Prompted(Strict):
    prompt: Prompt = Field(description="The prompt: a text, or chat messages.")


class PromptGroup(Prompted):
    """One prompt and the rollouts sampled for it."""

    id: Id | None = Field(None, description="A name for the group, repeated in the response.")
    rollouts: Items[RolloutInput] = Field(min_length=1)
    reference: Reference | None = Field(
        None, description="Right answer, which an LLM judge sees with `show_reference`."
    )

    def column(self, name: str) -> list[Any]:
        """A field of every rollout; None where a rollout does not give it."""
        return [getattr(r, name) if isinstance(r, Rollout) else None for r in self.rollouts]

    def gives(self, name: str) -> bool:
        """Whether any rollout gives a field, be it as null."""
        return any(isinstance(r, Rollout) and name in r.model_fields_set for r in self.rollouts)


class Group(PromptGroup):
    quality: Items[Score] | None = Field(
        None, description="Quality of every rollout, instead of a number in each of them."
    )
    reference: Reference | None = Field(
        None,
        description="Right answer. Without quality, a rollout gets 1 if its `answer` equals it, "
        "else 0. An LLM judge sees it with `show_reference`.",
    )


def refuse_two_questions(notion: Notion | None, criterion: str | None) -> None:
    if notion is not None and criterion is not None:
        raise ValueError("criterion takes the place of notion, and both are set; drop one of them")


class PartitionOptions(Strict):
    linkage: Linkage | None = Field(
        None, description="Algorithm that makes classes of pairs. Default: the model's own."
    )
    threshold: Threshold | None = Field(None, description=THRESHOLD)
    text: TextRule | None = Field(None, description=f"{TEXT_RULE} Default: the service's.")
    notion: Notion | None = Field(None, description=NOTION)
    criterion: Criterion | None = Field(None, description=CRITERION)
    show_reference: bool = Field(
        False, description="Show an LLM judge the group's `reference` beside the texts."
    )
    short_answer_rule: bool = Field(
        False, description="Decide pairs of at most 5 words by the words they share, as published."
    )

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        refuse_two_questions(self.notion, self.criterion)
        return self


PUBLISHED_PARTITION: Mapping[str, Any] = {"linkage": "single", "short_answer_rule": True}
"""What `parity: darling` fixes of `PartitionOptions`."""


class Run(Strict):
    name: Name = Field(description="Name of the training run.")
    step: int | None = Field(None, ge=0, lt=2**63, description="Training step.")


RunOrName = Annotated[
    Annotated[Name, Tag(TEXT)] | Annotated[Run, Tag(OBJECT)], Discriminator(text_or(OBJECT))
]


RECORD = (
    "Whether the {} for the run, in its metrics and its history. False is for what is only tried "
    "out."
)


class Request(Strict):
    model: Name | None = Field(
        None, description="A name from /v1/models. Default: the first of them."
    )


class GroupsRequest(Request):
    partition: PartitionOptions = PartitionOptions()
    return_probabilities: bool = Field(
        False, description="Add the (n, n) matrix of P(equivalent) to each group."
    )
    run: Run | None = Field(None, description="The training run and step this belongs to.")
    record: bool = Field(True, description=RECORD.format("groups count"))


class Rewarded(Strict):
    """What every request that asks for rewards may choose."""

    partition: PartitionOptions = PartitionOptions()
    reward: RewardOptions = RewardOptions()

    @model_validator(mode="after")
    def _parity(self) -> Self:
        if self.reward.parity is None:
            return self
        own = self.partition.model_fields_set & PUBLISHED_PARTITION.keys()
        other = [
            f"partition.{name}"
            for name in sorted(own)
            if getattr(self.partition, name) not in (None, PUBLISHED_PARTITION[name])
        ]
        if other:
            raise ValueError(
                "parity fixes single linkage and the short-answer rule; drop " + " and ".join(other)
            )
        return self

    def resolved(self) -> Self:
        """The request with what `parity` stands for written out."""
        if self.reward.parity is None:
            return self
        text = self.partition.text or "all"
        return self.model_copy(
            update={
                "reward": self.reward.resolved(),
                "partition": self.partition.model_copy(
                    update={**PUBLISHED_PARTITION, "text": text}
                ),
            }
        )


class RewardRequest(Rewarded, GroupsRequest):
    groups: Items[Group] = Field(min_length=1)


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
    record: bool = Field(
        True, description=RECORD.format("group counts") + " The same in all requests of a group."
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
            record=self.record,
        )

    def rollout(self) -> Rollout:
        """The rollout itself; a field that the request does not give is not given here either."""
        own = self.model_fields_set & Rollout.model_fields.keys()
        return Rollout.model_construct(**{name: getattr(self, name) for name in own})


class PartitionRequest(GroupsRequest):
    groups: Items[PromptGroup] = Field(min_length=1)


class PreferenceRequest(GroupsRequest):
    groups: Items[Group] = Field(min_length=1)
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
    reference: Reference | None = Field(
        None, description="Right answer, which an LLM judge sees beside the pair."
    )


class EquivalenceRequest(Request):
    pairs: Items[Pair] = Field(min_length=1)
    threshold: Threshold | None = Field(None, description=THRESHOLD)
    text: TextRule = Field(
        "all", description=f"{TEXT_RULE} Default: all, the texts as they are given."
    )
    notion: Notion | None = Field(None, description=NOTION)
    criterion: Criterion | None = Field(None, description=CRITERION)

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        refuse_two_questions(self.notion, self.criterion)
        return self
