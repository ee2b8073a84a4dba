"""What the client's methods take and return, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Messages = Sequence[Mapping[str, Any]]
"""Chat messages with `role`, `content` and `tool_calls`, or items of OpenAI's Responses format."""
Prompt = str | Messages
"""A text, or chat messages."""
Response = str | Messages
"""What a policy wrote: a text, or chat messages, which may hold tools' and users' words too."""


@dataclass(frozen=True)
class Rollout:
    """One response sampled for a prompt, with what is known about it. A None is not sent."""

    text: Response
    """A text, or chat messages. The option `partition={"text": ...}` says what of it is compared:
    by default what follows the reasoning, of the policy's own words."""
    quality: float | None = None
    """The task's own reward."""
    answer: str | None = None
    """The final answer, which the service compares with the `reference`; "" where there is none."""
    correct: bool | None = None
    """The verdict of a verifier."""
    logprob: float | None = None
    """Mean log-probability per token."""
    solutions: Sequence[Sequence[float]] | None = None
    """The scores of each solution in the text, for the vector objective."""


@dataclass(frozen=True)
class Group:
    """One prompt and the n rollouts sampled for it."""

    prompt: Prompt
    rollouts: Sequence[Response | Rollout]
    quality: Sequence[float] | None = None
    """The quality of each rollout, shape (n,); an alternative to `Rollout.quality`."""
    id: str | int | None = None
    """Returned with the result."""
    reference: str | None = None
    """The right final answer. Rollouts without quality get 1 where their `answer` equals it, and
    else 0."""


@dataclass(frozen=True, kw_only=True)
class CohortRollout:
    """One rollout whose siblings are sent in other calls, by this process or others.

    Siblings have the same run, `group_id` and `attempt`. A None is not sent.
    """

    group_id: str | int
    """Names the group; the same for all siblings."""
    member_id: str | int
    """Names the rollout among its siblings. Sent again, it replaces what was sent before."""
    group_size: int | None = None
    """The number of siblings, this one included."""
    attempt: int | None = None
    """Counts how often the group was sampled; raise it when the group is sampled again."""
    prompt: Prompt
    rollout: Rollout
    reference: str | None = None
    """The right final answer, as in `Group`."""
    deadline_s: float | None = None
    """Seconds to wait for siblings before those present are scored; default: the service's."""
    idle_timeout_s: float | None = None
    """Seconds without a new sibling before those present are scored; default: no limit where the
    group's size is known, else the service's."""


@dataclass(frozen=True)
class Run:
    """The training run and step that a request belongs to."""

    name: str
    step: int | None = None


@dataclass(frozen=True)
class Model:
    """The classifier that decided which rollouts are equivalent."""

    id: str
    revision: str
    threshold: float
    """Pairs with a probability above it count as equivalent."""
    linkage: str | None
    """The partition algorithm."""
    text: str | None = None
    """What of each rollout was compared, such as `answer`."""
    notion: str | None = None
    """What made two rollouts equivalent, `answer` or `approach`; None where the model knows no
    choice."""


@dataclass(frozen=True, kw_only=True)
class GroupPartition:
    """The classes of a group. Lists have shape (n,), in the order of the group's rollouts."""

    id: str | int | None = None
    """The `id` of the group."""
    partition: list[int]
    """The class of each rollout, numbered by first occurrence."""
    num_classes: int
    diversity: list[float]
    """How distinct each rollout is from its group, in [0, 1]."""
    probabilities: list[list[float]] | None = None
    """P(equivalent) of each pair, shape (n, n), where `return_probabilities` is true."""
    reasoning_dropped: int = 0
    """The number of rollouts of which reasoning was left out of the comparison."""
    reasoning_unfinished: int = 0
    """The number of rollouts whose reasoning does not end: they count as the empty text."""
    model: Model


@dataclass(frozen=True, kw_only=True)
class GroupRewards(GroupPartition):
    """The rewards of a group beside its classes.

    `diversity` is what the rewards were computed from, after exponent and floor.
    """

    quality: list[float] | None
    """The quality that the rewards were computed from."""
    rewards: list[float]
    """Quality shaped by diversity."""
    advantages: list[float] | None = None
    """What the policy gradient multiplies, where `reward={"advantage": ...}` names an estimator."""


@dataclass(frozen=True, kw_only=True)
class GroupPreference(GroupPartition):
    """A pair of rollouts to learn a preference from, beside the group's classes."""

    chosen: int | None
    """Index of the rollout to prefer; None where all are equally good."""
    rejected: int | None
    """Index of the rollout that it is preferred to; None where `chosen` is."""


@dataclass(frozen=True, kw_only=True)
class RolloutReward:
    """The share of one rollout in the result of its cohort."""

    reward: float
    """Quality shaped by diversity."""
    diversity: float
    """How distinct the rollout is from its siblings, in [0, 1]."""
    quality: float | None
    class_: int
    """The rollout's class, as in `GroupPartition.partition`."""
    num_classes: int
    advantage: float | None = None
    """As in `GroupRewards.advantages`."""
    group_complete: bool
    """False if siblings were missing when the cohort ended; the reward is of a partial group."""
    group_size: int
    """The number of rollouts that were scored together."""
    reasoning_dropped: int = 0
    """The number of them of which reasoning was left out, as in `GroupPartition`."""
    reasoning_unfinished: int = 0
    """The number of them whose reasoning does not end, as in `GroupPartition`."""
    model: Model
