"""The requests and responses of the service's routes, for both clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypedDict, TypeVar

from darling_client._exchange import Call
from darling_client._json import plain
from darling_client._messages import words_body
from darling_client._types import (
    CohortRollout,
    Group,
    GroupPartition,
    GroupPreference,
    GroupRewards,
    Model,
    Rollout,
    RolloutReward,
    Run,
)

T = TypeVar("T")
G = TypeVar("G", bound=GroupPartition)
JsonObject = Mapping[str, Any]


class RolloutParams(TypedDict, total=False):
    """Options of a request, which docs/objectives.md describes. A None is not sent.

    With `record` false the group counts for no run.
    """

    reward: JsonObject | None
    partition: JsonObject | None
    run: str | Run | None
    model: str | None
    record: bool | None


class RewardParams(RolloutParams, total=False):
    """Options of `Client.rewards`."""

    return_probabilities: bool | None


class PartitionParams(TypedDict, total=False):
    """Options of `Client.partitions`. With `record` false the groups count for no run."""

    partition: JsonObject | None
    run: str | Run | None
    model: str | None
    return_probabilities: bool | None
    record: bool | None


class PreferenceParams(PartitionParams, total=False):
    """Options of `Client.preferences`."""

    diversity: str | None
    share: float | None


def rewards_call(group: Group, params: RewardParams) -> Call[GroupRewards]:
    return _group_call("/v1/rewards", GroupRewards, group, params)


def partition_call(group: Group, params: PartitionParams) -> Call[GroupPartition]:
    # The service refuses fields that a route does not use.
    without_quality = replace(group, quality=None)
    return _group_call("/v1/partitions", GroupPartition, without_quality, params)


def preference_call(group: Group, params: PreferenceParams) -> Call[GroupPreference]:
    return _group_call("/v1/preferences", GroupPreference, group, params)


def _group_call(path: str, kind: type[G], group: Group, params: JsonObject) -> Call[G]:
    size = len(group.rollouts)

    def read(response: Any) -> G:
        (first,) = response["groups"]
        result = _parse(kind, first, model=_parse(Model, response["model"]))
        if len(result.partition) != size:
            raise ValueError(f"{size} rollouts were sent, but {len(result.partition)} came back")
        return result

    return Call(path, {"groups": [_group_body(group)], **_params_body(params)}, read)


def rollout_call(rollout: CohortRollout, params: RolloutParams) -> Call[RolloutReward]:
    body = _without_none(
        group_id=rollout.group_id,
        member_id=rollout.member_id,
        group_size=rollout.group_size,
        attempt=rollout.attempt,
        prompt=words_body(rollout.prompt),
        **_rollout_body(rollout.rollout),
        reference=rollout.reference,
        deadline_s=rollout.deadline_s,
        idle_timeout_s=rollout.idle_timeout_s,
        **_params_body(params),
    )

    def read(response: Any) -> RolloutReward:
        model = _parse(Model, response["model"])
        return _parse(RolloutReward, response, class_=response["class"], model=model)

    run = body.get("run")
    run_name = run.get("name", "") if isinstance(run, dict) else ""
    key = f"{run_name}\0{rollout.group_id}"
    return Call("/v1/rollouts", body, read, key=key, wait_s=float(rollout.deadline_s or 0))


def _parse(kind: type[T], values: JsonObject, **more: Any) -> T:
    """A `kind` from the values it has fields for; a newer service may send others."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: values[name] for name in names & set(values)} | more)


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _params_body(params: JsonObject) -> dict[str, Any]:
    body = _without_none(**params)
    run = body.get("run")
    if isinstance(run, str):
        body["run"] = {"name": run}
    elif isinstance(run, Run):
        body["run"] = _without_none(name=run.name, step=run.step)
    return body


def _group_body(group: Group) -> dict[str, Any]:
    return _without_none(
        id=group.id,
        prompt=words_body(group.prompt),
        rollouts=[
            _rollout_body(one) if isinstance(one, Rollout) else words_body(one)
            for one in group.rollouts
        ],
        quality=None if group.quality is None else list(map(_number, group.quality)),
        reference=group.reference,
    )


def _rollout_body(rollout: Rollout) -> dict[str, Any]:
    return _without_none(
        **{"text" if isinstance(rollout.text, str) else "messages": words_body(rollout.text)},
        quality=_number(rollout.quality),
        answer=rollout.answer,
        correct=_verdict(rollout.correct),
        logprob=_number(rollout.logprob),
        solutions=rollout.solutions,
    )


def _number(value: Any) -> Any:
    """A number as a float: a verdict is a number too. What is none stays, for the service to name
    its place."""
    value = plain(value)
    try:
        return float(value) if isinstance(value, bool | int | float) else value
    except OverflowError:
        return value


def _verdict(value: Any) -> bool | None:
    """A verdict of Python, NumPy or torch. Raises `ValueError` for anything but 1 and 0."""
    value = plain(value)
    # Truthiness would count a wrong -1 or "False" as correct.
    if value is not None and not (isinstance(value, int | float) and value in (0, 1)):
        raise ValueError(f"correct is {value!r}, not a verdict; give True, False, 1 or 0")
    return None if value is None else bool(value)
