"""What goes in and what comes out, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Prompt = str | Sequence[Mapping[str, Any]]
"""A text, or chat messages with `role` and `content`."""


@dataclass(frozen=True)
class Rollout:
    """One response with what is known about it; None is not sent."""

    text: str
    quality: float | None = None
    """The task's own reward."""
    answer: str | None = None
    """The final answer, for the group's `reference`."""
    correct: bool | None = None
    logprob: float | None = None
    """Mean per token."""
    solutions: Sequence[Sequence[float]] | None = None
    """Scores of each solution it holds, for the vector objective."""


@dataclass(frozen=True)
class Group:
    """One prompt and the n rollouts sampled for it."""

    prompt: Prompt
    rollouts: Sequence[str | Rollout]
    quality: Sequence[float] | None = None
    """A column of n numbers, instead of one in each rollout."""
    id: str | int | None = None
    """Echoed in the answer."""
    reference: str | None = None


@dataclass(frozen=True, kw_only=True)
class CohortRollout:
    """One rollout whose siblings are sent by others; (run, group_id, attempt) tells the cohort."""

    group_id: str | int
    member_id: str | int
    """Who it is among its siblings: sent again, it replaces what was sent before."""
    group_size: int | None = None
    """How many siblings there are, itself included."""
    attempt: int | None = None
    prompt: Prompt
    rollout: Rollout
    reference: str | None = None
    deadline_s: float | None = None
    """When the siblings that are there are answered without the others; default: the service's."""


@dataclass(frozen=True)
class Run:
    """The training run and step that a request belongs to."""

    name: str
    step: int | None = None


@dataclass(frozen=True)
class Model:
    """The classifier that judged."""

    id: str
    revision: str
    threshold: float
    linkage: str | None


@dataclass(frozen=True, kw_only=True)
class GroupPartition:
    """A group's classes. Lists have shape (n,), in the order of the group's rollouts."""

    id: str | int | None = None
    partition: list[int]
    """The class of each rollout, numbered by first occurrence."""
    num_classes: int
    diversity: list[float]
    """How distinct each rollout is from its group, in [0, 1]."""
    probabilities: list[list[float]] | None = None
    """P(equivalent) of every pair, shape (n, n), when asked for."""
    model: Model


@dataclass(frozen=True, kw_only=True)
class GroupRewards(GroupPartition):
    quality: list[float] | None
    rewards: list[float]
    """Quality shaped by diversity."""
    advantages: list[float] | None = None
    """Asked for by `reward={"advantage": ...}`."""


@dataclass(frozen=True, kw_only=True)
class GroupPreference(GroupPartition):
    chosen: int | None
    """Index of the rollout to prefer; None where all are equally good."""
    rejected: int | None
    """Index of the rollout that it is preferred to."""


@dataclass(frozen=True, kw_only=True)
class RolloutReward:
    """What one rollout of a cohort gets when its siblings have arrived."""

    reward: float
    diversity: float
    quality: float | None
    class_: int
    num_classes: int
    advantage: float | None = None
    group_complete: bool
    """False: the deadline came first, and the reward is that of a partial group."""
    group_size: int
    model: Model


def content_text(content: Any) -> str:
    """The text of a message's content, which may be None or a list of typed parts."""
    if isinstance(content, list):
        return "".join(
            part if isinstance(part, str) else str(part.get("text") or "") for part in content
        )
    return "" if content is None else str(content)


def completion_text(completion: Any) -> str:
    """A response as one text: itself, or the contents of the messages it consists of."""
    if isinstance(completion, str):
        return completion
    return "\n\n".join(content_text(message.get("content")) for message in completion)
