"""The blocking client."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeVar

import httpx

from darling_client._base import BaseClient
from darling_client._calls import (
    PartitionParams,
    PreferenceParams,
    RewardParams,
    RolloutParams,
    partition_call,
    preference_call,
    rewards_call,
    rollout_call,
)
from darling_client._errors import Unavailable
from darling_client._exchange import LIMITS, Call, Outcome, Pause, exchange, results_or_raise
from darling_client._network import wrong_proxy
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

CONNECTING = Lock()
"""Held while a client opens its connections, so that the threads of a call share them."""


class Client(BaseClient):
    """Sends requests and blocks until their results are there.

    Thread-safe; can be pickled and forked. `AsyncClient` has the same methods to await.
    """

    _http: tuple[int, httpx.Client] | None = None

    def rewards(
        self, groups: Sequence[Group], **params: Unpack[RewardParams]
    ) -> list[GroupRewards]:
        """The rewards of each group: quality shaped by diversity. In the order of `groups`.

        Raises `DarlingError`; its subclass `Unavailable` only once `patience_s` is over.
        """
        return results_or_raise(self.try_rewards(groups, **params))

    def try_rewards(
        self, groups: Sequence[Group], **params: Unpack[RewardParams]
    ) -> list[GroupRewards | Unavailable]:
        """As `rewards`, but with an `Unavailable` in place of each group without a result in time.

        Raises any other `DarlingError`.
        """
        return self._outcomes([rewards_call(group, params) for group in groups])

    def partitions(
        self, groups: Sequence[Group], **params: Unpack[PartitionParams]
    ) -> list[GroupPartition]:
        """The classes and diversity of each group; its quality is not sent.

        Raises `DarlingError`, as `rewards` does.
        """
        calls = [partition_call(group, params) for group in groups]
        return results_or_raise(self._outcomes(calls))

    def preferences(
        self, groups: Sequence[Group], **params: Unpack[PreferenceParams]
    ) -> list[GroupPreference]:
        """DivPO's pair for each group: the rollout to prefer, and the one to prefer it to.

        Raises `DarlingError`, as `rewards` does.
        """
        calls = [preference_call(group, params) for group in groups]
        return results_or_raise(self._outcomes(calls))

    def rollout(self, rollout: CohortRollout, **params: Unpack[RolloutParams]) -> RolloutReward:
        """The reward of one rollout, once its siblings have arrived in calls of their own.

        Raises `DarlingError`; its subclass `Unavailable` only once `patience_s` is over, and
        `rollout.deadline_s` beside it.
        """
        deadline = self._deadline(rollout.deadline_s)
        return self._result(rollout_call(rollout, params), deadline, Event())

    def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        if self._http is not None:
            self._http[1].close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _outcomes(self, calls: Sequence[Call[T]]) -> list[T | Unavailable]:
        deadline, stopped = self._deadline(), Event()

        def outcome(call: Call[T]) -> T | Unavailable:
            try:
                return self._result(call, deadline, stopped)
            except Unavailable as failure:
                return failure

        with ThreadPoolExecutor(min(self.options.parallel, len(calls)) or 1) as pool:
            try:
                return list(pool.map(outcome, calls))
            except BaseException:
                stopped.set()
                raise

    def _result(self, call: Call[T], deadline: float, stopped: Event) -> T:
        outcome: Outcome = None
        with closing(exchange(call, self, deadline)) as steps:
            while True:
                try:
                    step = steps.send(outcome)
                except StopIteration as end:
                    result: T = end.value
                    return result
                if isinstance(step, Pause):
                    outcome = None
                    if stopped.wait(step.seconds):
                        raise Unavailable("not sent again, because another group has failed")
                    continue
                try:
                    outcome = self._connections().post(
                        step.url, content=step.content, headers=step.headers, timeout=step.timeout
                    )
                except httpx.TransportError as error:
                    outcome = error

    def _connections(self) -> httpx.Client:
        """The connections of this process: a fork must not use its parent's."""
        with CONNECTING:
            if self._http is None or self._http[0] != os.getpid():
                try:
                    self._http = (os.getpid(), httpx.Client(limits=LIMITS))
                except (ValueError, TypeError, ImportError, httpx.InvalidURL) as error:
                    raise wrong_proxy(error) from error
            return self._http[1]
