"""Requests and answers of the service's routes, as the two clients share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypedDict, TypeVar

from darling_client._errors import BadAnswer
from darling_client._exchange import Call
from darling_client._types import (
    CohortRollout,
    Group,
    GroupPartition,
    GroupPreference,
    GroupRewards,
    Model,
    Prompt,
    Rollout,
    RolloutReward,
    Run,
    content_text,
)

T = TypeVar("T")
G = TypeVar("G", bound=GroupPartition)
JsonObject = Mapping[str, Any]


class RolloutParams(TypedDict, total=False):
    """What may be asked of a request; None is not sent. The service's docs tell the options."""

    reward: JsonObject | None
    partition: JsonObject | None
    run: str | Run | None
    model: str | None


class PartitionAsked(TypedDict, total=False):
    partition: JsonObject | None
    run: str | Run | None
    model: str | None
    return_probabilities: bool | None


class RewardParams(RolloutParams, total=False):
    return_probabilities: bool | None


class PreferenceAsked(PartitionAsked, total=False):
    diversity: str | None
    share: float | None


def rewards_call(group: Group, params: RewardParams) -> Call[GroupRewards]:
    return _group_call("/v1/rewards", GroupRewards, group, params)


def partition_call(group: Group, params: PartitionAsked) -> Call[GroupPartition]:
    # Quality does not matter here, and the service would say so.
    alone = replace(group, quality=None, reference=None)
    return _group_call("/v1/partitions", GroupPartition, alone, params)


def preference_call(group: Group, params: PreferenceAsked) -> Call[GroupPreference]:
    return _group_call("/v1/preferences", GroupPreference, group, params)


def _group_call(path: str, kind: type[G], group: Group, params: JsonObject) -> Call[G]:
    size = len(group.rollouts)

    def read(answer: Any) -> G:
        (found,) = answer["groups"]
        result = _typed(kind, found, model=_typed(Model, answer["model"]))
        if len(result.partition) != size:
            raise BadAnswer(f"{size} rollouts were sent and {len(result.partition)} came back")
        return result

    return Call(path, {"groups": [_group(group)], **_options(params)}, read)


def rollout_call(rollout: CohortRollout, params: RolloutParams) -> Call[RolloutReward]:
    body = _given(
        group_id=rollout.group_id,
        member_id=rollout.member_id,
        group_size=rollout.group_size,
        attempt=rollout.attempt,
        prompt=_prompt(rollout.prompt),
        **_rollout(rollout.rollout),
        reference=rollout.reference,
        deadline_s=rollout.deadline_s,
    )
    sent = {**body, **_options(params)}

    def read(answer: Any) -> RolloutReward:
        return _typed(
            RolloutReward, answer, class_=answer["class"], model=_typed(Model, answer["model"])
        )

    name = sent.get("run", {}).get("name", "")
    key = f"{name}\0{rollout.group_id}"
    return Call("/v1/rollouts", sent, read, key=key, wait_s=rollout.deadline_s or 0)


def _typed(kind: type[T], answer: JsonObject, **more: Any) -> T:
    """`kind` from the fields it knows; a newer service may send others."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: answer[name] for name in known & set(answer)} | more)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _options(params: JsonObject) -> dict[str, Any]:
    given = _given(**params)
    run = given.get("run")
    if isinstance(run, str):
        given["run"] = {"name": run}
    elif isinstance(run, Run):
        given["run"] = _given(name=run.name, step=run.step)
    return given


def _group(group: Group) -> dict[str, Any]:
    return _given(
        id=group.id,
        prompt=_prompt(group.prompt),
        rollouts=[r if isinstance(r, str) else _rollout(r) for r in group.rollouts],
        quality=None if group.quality is None else [float(quality) for quality in group.quality],
        reference=group.reference,
    )


def _rollout(rollout: Rollout) -> dict[str, Any]:
    return _given(
        text=rollout.text,
        quality=None if rollout.quality is None else float(rollout.quality),
        answer=rollout.answer,
        correct=None if rollout.correct is None else bool(rollout.correct),
        logprob=None if rollout.logprob is None else float(rollout.logprob),
        solutions=None
        if rollout.solutions is None
        else [[float(score) for score in scores] for scores in rollout.solutions],
    )


def _prompt(prompt: Prompt) -> str | Sequence[JsonObject]:
    if isinstance(prompt, str):
        return prompt
    return [
        {"role": str(m.get("role", "user")), "content": content_text(m.get("content"))}
        for m in prompt
    ]
