"""What an adapter asks of the service beside its groups, and what it sends to its trainer."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from darling_client._asynchronous import AsyncClient
from darling_client._outages import log
from darling_client._synchronous import Client
from darling_client._types import GroupRewards, RolloutReward, Run
from darling_client.trainers._option_check import checked_options, unknown_name

if TYPE_CHECKING:
    from darling_client._calls import JsonObject, RolloutParams

Send = Literal["reward", "advantage", "uncentered_advantage"]
SENDS = ("reward", "advantage", "uncentered_advantage")
RunOption = (
    str | Run | Mapping[str, Any] | Callable[[], str | Run | Mapping[str, Any] | None] | None
)

ZERO_SUM = frozenset({"centered", "grpo", "rloo", "maxrl", "pass_at_k", "poly_epo", "vpo"})
"""Advantages that sum to 0 in a group, so that a trainer which takes the group's mean off leaves
them as they are."""
CHANGE_THE_SUM = ("uniqueness", "exploration")
"""Options of advantages after which they do not sum to 0."""
OF_ADVANTAGES = (
    *("advantage", "k", "positive_weight", "uniqueness", "uniqueness_of", "focal"),
    *("exploration", "exploration_weight", "exploration_baseline", "wrong_ratio"),
)
"""Options of a reward that change advantages alone."""


class AdapterParams(TypedDict, total=False):
    """Options of an adapter, which docs/objectives.md describes."""

    reward: JsonObject | None
    partition: JsonObject | None
    run: RunOption
    """The training run: a name, a `Run`, or a function that returns one before each request. Where
    the trainer tells its step, the adapter fills it in."""
    model: str | None
    send: Send
    """What the trainer gets: the `reward`; the `advantage` that the option `reward.advantage`
    names, of those that sum to 0 in a group; or any (`uncentered_advantage`), for a trainer that
    takes no mean off. An advantage wants the trainer's division by the std off."""


class Request:
    """The checked options of an adapter."""

    def __init__(self, params: Mapping[str, Any], *, may_be_uncentered: bool = False) -> None:
        """`may_be_uncentered`: whether the trainer can be told to take no mean off its rewards.

        Raises `TypeError` for an unknown option and `ValueError` for a wrong value of one; both
        name it.
        """
        for name in params:
            if name not in AdapterParams.__annotations__:
                raise TypeError(unknown_name(name, AdapterParams.__annotations__))
        self.send = params.get("send", "reward")
        if self.send not in SENDS:
            raise ValueError(f"send is {self.send!r}; give one of {', '.join(SENDS)}")
        reward = params.get("reward")
        reward = checked_options("reward", {} if reward is None else reward)
        if self.send == "reward":
            _refuse_advantage(reward)
        else:
            reward = {"advantage": "centered", **reward}
            _check_sum(reward, self.send, may_be_uncentered)
        model = params.get("model")
        if not isinstance(model, str | None):
            raise ValueError(f"model is {model!r:.80}; give a name from /v1/models")
        self._run = params.get("run")
        if not callable(self._run):
            _run(self._run)
        self._params: RolloutParams = {"reward": reward or None, "model": model}
        if params.get("partition") is not None:
            self._params["partition"] = checked_options("partition", params["partition"])
        self._told_of_std = False

    def params(self, step: Any = None) -> RolloutParams:
        """The options of one request. `step`: the trainer's own count of steps, where it has one;
        a step that the option `run` names goes before it."""
        run = _run(self._run() if callable(self._run) else self._run)
        if run is not None and run.step is None:
            run = Run(run.name, _step(step))
        return {**self._params, "run": run}

    def sent_one(self, result: RolloutReward) -> float:
        """The number of one rollout for the trainer, as `sent`."""
        if self.send == "reward":
            return result.reward
        assert result.advantage is not None
        return result.advantage

    def sent(self, outcome: GroupRewards) -> list[float]:
        """The numbers of a group's rollouts for the trainer: rewards or advantages, shape (n,)."""
        if self.send == "reward":
            return outcome.rewards
        assert outcome.advantages is not None
        return outcome.advantages

    def std_is_on(self, setting: str, cure: str) -> None:
        """Told by an adapter that sees the trainer divide by the std of a group's rewards.

        Logs a warning once. Raises `ValueError` where advantages are sent, which it would change.
        """
        if self.send != "reward":
            raise ValueError(
                f"send is {self.send!r}, but {setting} divides by the standard deviation, which "
                f"would change the advantages; set {cure}"
            )
        if not self._told_of_std:
            self._told_of_std = True
            log.warning(
                "%s divides by the standard deviation of a group's rewards, which magnifies small "
                "differences of diversity and which DARLING leaves off; set %s",
                setting,
                cure,
            )


def _refuse_advantage(reward: Mapping[str, Any]) -> None:
    for name in OF_ADVANTAGES:
        if reward.get(name) not in (None, "none"):
            raise ValueError(
                f"reward.{name} is set, but this trainer computes advantages of its own from the "
                "rewards; remove it, set send='advantage' to give the trainer the service's "
                "advantages, or call Client.rewards where your code can use them"
            )


def _check_sum(reward: Mapping[str, Any], send: str, may_be_uncentered: bool) -> None:
    if send == "uncentered_advantage":
        if not may_be_uncentered:
            raise ValueError(
                "send is 'uncentered_advantage', but this trainer always takes the group's mean "
                "off; set send='advantage' with an advantage that sums to 0: "
                f"{', '.join(sorted(ZERO_SUM))}"
            )
        return
    if reward["advantage"] is None:
        raise ValueError("reward.advantage is None; name one, or remove send")
    wrong = [name for name in CHANGE_THE_SUM if reward.get(name) not in (None, "none")]
    if reward["advantage"] not in ZERO_SUM:
        wrong.insert(0, f"advantage = {reward['advantage']!r}")
    if wrong:
        raise ValueError(
            f"send is 'advantage', but with {' and '.join(wrong)} the advantages do not sum to 0 "
            "in a group, so the trainer, which takes the group's mean off, would change them; "
            f"choose one of {', '.join(sorted(ZERO_SUM))} without "
            f"{' and '.join(CHANGE_THE_SUM)}, or a trainer that takes no mean off "
            "(docs/trainers.md)"
        )


def _run(run: Any) -> Run | None:
    """The run as an object. Raises `ValueError`."""
    if isinstance(run, Mapping) and set(run) <= {"name", "step"} and "name" in run:
        run = Run(run["name"], run.get("step"))
    elif isinstance(run, str):
        run = Run(run)
    if run is None:
        return None
    if not isinstance(run, Run) or not isinstance(run.name, str):
        raise ValueError(f"run is {run!r:.80}; give a name, or Run(name, step)")
    if run.step is not None and _step(run.step) is None:
        raise ValueError(f"run.step is {run.step!r:.80}; give a whole number of at least 0")
    return Run(run.name, _step(run.step))


def _step(step: Any) -> int | None:
    """A step as Python has it, of NumPy's and torch's too; None for what is none."""
    try:
        number = operator.index(step.item() if hasattr(step, "item") else step)
    except (TypeError, ValueError, RuntimeError):
        return None
    return number if 0 <= number < 2**63 else None


def check_parts(
    quality: Any, client: Any, kind: type[Client | AsyncClient], name: str = "client"
) -> None:
    """Raises `TypeError` where `quality` cannot be called or the client is of another kind."""
    if not callable(quality):
        raise TypeError(f"quality is {quality!r:.80}; give a function")
    if client is not None and isinstance(client, Client | AsyncClient):
        if not isinstance(client, kind):
            raise TypeError(
                f"{name} is a {type(client).__name__}; this trainer's adapter needs "
                f"{'an AsyncClient' if kind is AsyncClient else 'a Client'}"
            )
    elif client is not None and isinstance(client, str | bytes | int | float):
        raise TypeError(f"{name} is {client!r:.80}; give {kind.__name__}(url)")
