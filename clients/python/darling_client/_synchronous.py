"""The blocking client."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeVar

import httpx

from darling_client._calls import (
    PartitionAsked,
    PreferenceAsked,
    RewardParams,
    RolloutParams,
    partition_call,
    preference_call,
    rewards_call,
    rollout_call,
)
from darling_client._errors import Unavailable
from darling_client._exchange import LIMITS, Call, Outcome, Pause, all_answered, exchange
from darling_client._options import Options
from darling_client._types import (
    CohortRollout,
    Group,
    GroupPartition,
    GroupPreference,
    GroupRewards,
    RolloutReward,
)

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import Unpack

T = TypeVar("T")

MAKING = Lock()
"""Threads of one call share one pool of connections."""


class Client(Options):
    """Thread-safe; can be pickled and forked. `AsyncClient` has the same methods to await."""

    _http: tuple[int, httpx.Client] | None = None

    def rewards(
        self, groups: Sequence[Group], **params: Unpack[RewardParams]
    ) -> list[GroupRewards]:
        """Quality shaped by diversity, group by group, in the order given.

        Raises `DarlingError`, of which `Unavailable` only after `patience_s`.
        """
        return all_answered(self.try_rewards(groups, **params))

    def try_rewards(
        self, groups: Sequence[Group], **params: Unpack[RewardParams]
    ) -> list[GroupRewards | Unavailable]:
        """As `rewards`, with the reason in place of each group that got no answer in time."""
        return self._answers([rewards_call(group, params) for group in groups])

    def partitions(
        self, groups: Sequence[Group], **params: Unpack[PartitionAsked]
    ) -> list[GroupPartition]:
        """Classes and diversity without quality."""
        calls = [partition_call(group, params) for group in groups]
        return all_answered(self._answers(calls))

    def preferences(
        self, groups: Sequence[Group], **params: Unpack[PreferenceAsked]
    ) -> list[GroupPreference]:
        """DivPO's pair of each group: the rollout to prefer, and the one to prefer it to."""
        calls = [preference_call(group, params) for group in groups]
        return all_answered(self._answers(calls))

    def rollout(self, rollout: CohortRollout, **params: Unpack[RolloutParams]) -> RolloutReward:
        """One rollout's reward; waits until its siblings have been sent too, by whomever."""
        deadline = self.deadline(rollout.deadline_s)
        return self._answer(rollout_call(rollout, params), deadline, Event())

    def close(self) -> None:
        """Closes the idle connections; the next request opens new ones."""
        if self._http is not None:
            self._http[1].close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _answers(self, calls: Sequence[Call[T]]) -> list[T | Unavailable]:
        deadline, stopped = self.deadline(), Event()

        def attempt(call: Call[T]) -> T | Unavailable:
            try:
                return self._answer(call, deadline, stopped)
            except Unavailable as failure:
                return failure

        with ThreadPoolExecutor(min(self.parallel, len(calls)) or 1) as pool:
            try:
                return list(pool.map(attempt, calls))
            except BaseException:
                stopped.set()
                raise

    def _answer(self, call: Call[T], deadline: float, stopped: Event) -> T:
        outcome: Outcome = None
        with closing(exchange(call, self, deadline)) as steps:
            while True:
                try:
                    step = steps.send(outcome)
                except StopIteration as end:
                    answer: T = end.value
                    return answer
                if isinstance(step, Pause):
                    outcome = None
                    if stopped.wait(step.seconds):
                        raise Unavailable("another group of the call has failed")
                    continue
                try:
                    outcome = self._connections().post(
                        step.url, content=step.content, headers=step.headers, timeout=step.timeout
                    )
                except httpx.TransportError as error:
                    outcome = error

    def _connections(self) -> httpx.Client:
        """Those of this process: a fork must not speak on its parent's."""
        with MAKING:
            if self._http is None or self._http[0] != os.getpid():
                self._http = (os.getpid(), httpx.Client(limits=LIMITS))
            return self._http[1]
