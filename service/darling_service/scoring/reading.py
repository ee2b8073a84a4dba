"""Reading a group: the columns that a request's options need, checked before any model runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darling_service.rewards.exact import BoolArray, FloatArray
from darling_service.schemas.requests import Group
from darling_service.schemas.reward_options import RewardOptions
from darling_service.scoring import inputs


@dataclass(frozen=True, slots=True)
class GroupInputs:
    """A group's own columns, by the names of `rewards.terms.COLUMNS`."""

    id: str | int | None
    columns: Mapping[str, Any]
    """`quality` is None where nothing needs it and the group gives none."""
    parts: Sequence[BoolArray]
    """Rollouts that are also partitioned alone, shapes (n,)."""


READERS: Mapping[str, Callable[[Group, FloatArray | None, bool], Any]] = {
    "correct": inputs.verdicts_of,
    "logprobs": lambda group, *_: inputs.logprobs_of(group),
    "solutions": lambda group, *_: inputs.solutions_of(group),
}
"""How the columns are read that stand beside quality and answers: (group, quality, whether it is
complete) to a column."""


def read_group(group: Group, options: RewardOptions, complete: bool = True) -> GroupInputs:
    """Raises `Invalid` naming what the options need and the group does not give.

    `complete`: whether these are all of its rollouts.
    """
    needs = options.needs
    quality = inputs.quality_of(group, "quality" in needs, complete)
    if quality is not None:
        in_column = group.quality is not None
        if options.negative == "refuse":
            policy = "negative = 'refuse'; shift the group's quality or choose another policy"
            inputs.refuse_negative(quality, in_column, policy)
        if options.unsigned:
            inputs.refuse_negative(
                quality,
                in_column,
                f"advantage = {options.advantage!r} divides by the mean reward; shift the group's "
                "quality, set objective = 'darling' with negative = 'shift_min', or choose another "
                "advantage",
            )
    if complete and options.k is not None:
        inputs.require_tries(group, options.k)
    columns: dict[str, Any] = {
        "quality": quality,
        "among": inputs.members_of(group, quality, options, complete),
    }
    columns |= {
        name: read(group, quality, complete) for name, read in READERS.items() if name in needs
    }
    if "outcomes" in needs and options.outcome == "answer":
        columns["outcomes"] = inputs.answers_of(group, required=complete)
    return GroupInputs(group.id, columns, _parts(columns, options))


def _parts(columns: Mapping[str, Any], options: RewardOptions) -> list[BoolArray]:
    """The rollouts whose own partition the options read beside that of the whole group."""
    parts: list[BoolArray] = []
    if options.among != "all":
        parts.append(columns["among"])
    if "correct_outcomes" in options.needs and options.outcome == "class":
        parts.append(columns["correct"])
    return parts
