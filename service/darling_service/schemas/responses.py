"""What responses say: plain dataclasses, serialised as they stand."""

from dataclasses import dataclass

from typing_extensions import TypedDict


@dataclass(frozen=True, slots=True)
class ModelUsed:
    id: str
    revision: str
    threshold: float
    linkage: str | None
    text: str
    """What of each rollout was compared: the option `text`."""
    notion: str | None
    """What made two texts equivalent: the option `notion`; null where the model knows no choice."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the answer cost."""

    pairs: int = 0
    """Pairs of rollouts in the request."""
    classified: int = 0
    """Pairs for which something went through the classifier."""
    cached: int = 0
    """Pairs decided from what the classifier computed for earlier requests."""
    skipped: int = 0
    """Pairs that needed no classifier: identical texts, copies of other pairs, pairs decided by the
    short-answer rule, and pairs whose texts single linkage had connected already."""
    truncated: int = 0
    """Model inputs that did not fit the model and were cut."""
    tokens: int = 0
    """Tokens that went through the model."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionedGroup:
    id: str | int | None
    partition: list[int]
    """Class of each rollout among all of the group, numbered by first occurrence; `reward.among`
    has no part in it."""
    num_classes: int
    diversity: list[float]
    """How distinct each rollout is: what entered the reward, after exponent and floor. With
    `reward.among` it comes from a partition of those rollouts alone, and is 0 for the others."""
    probabilities: list[list[float]] | None
    """P(equivalent) of every two rollouts, (n, n), on request."""
    reasoning_dropped: int
    """Rollouts of which reasoning was left out of the comparison."""
    reasoning_unfinished: int
    """Rollouts whose reasoning does not end: they were compared as the empty text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardedGroup(PartitionedGroup):
    quality: list[float] | None
    rewards: list[float]
    advantages: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredGroup(PartitionedGroup):
    chosen: int | None
    """Index of the rollout to prefer; null where all are equally good."""
    rejected: int | None
    """Index of the rollout that it is preferred to."""


@dataclass(frozen=True, slots=True)
class PairEquivalence:
    probability: float
    equivalent: bool


@dataclass(frozen=True, slots=True)
class PartitionResponse:
    groups: list[PartitionedGroup]
    model: ModelUsed
    usage: Usage


@dataclass(frozen=True, slots=True)
class RewardResponse:
    groups: list[RewardedGroup]
    model: ModelUsed
    usage: Usage


@dataclass(frozen=True, slots=True)
class PreferenceResponse:
    groups: list[PreferredGroup]
    model: ModelUsed
    usage: Usage


@dataclass(frozen=True, slots=True)
class EquivalenceResponse:
    results: list[PairEquivalence]
    model: ModelUsed
    usage: Usage


RolloutResponse = TypedDict(
    "RolloutResponse",
    {
        "reward": float,
        "diversity": float,
        "quality": float | None,
        "class": int,
        "num_classes": int,
        "advantage": float | None,
        "group_complete": bool,
        "group_size": int,
        "reasoning_dropped": int,
        "reasoning_unfinished": int,
        "model": ModelUsed,
    },
)
"""One rollout's share of its group's answer; `group_size` counts the rollouts that were scored, and
`reasoning_dropped` and `reasoning_unfinished` those of them as in `PartitionedGroup`."""
