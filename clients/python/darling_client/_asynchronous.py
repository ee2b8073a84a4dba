"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import closing
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


class AsyncClient(BaseClient):
    """`Client` with methods to await. May be used from one event loop after another."""

    _http: tuple[int, asyncio.AbstractEventLoop, httpx.AsyncClient] | None = None

    async def rewards(
        self, groups: Sequence[Group], **params: Unpack[RewardParams]
    ) -> list[GroupRewards]:
        """See `Client.rewards`."""
        return results_or_raise(await self.try_rewards(groups, **params))

    async def try_rewards(
        self, groups: Sequence[Group], **params: Unpack[RewardParams]
    ) -> list[GroupRewards | Unavailable]:
        """See `Client.try_rewards`."""
        return await self._outcomes([rewards_call(group, params) for group in groups])

    async def partitions(
        self, groups: Sequence[Group], **params: Unpack[PartitionParams]
    ) -> list[GroupPartition]:
        """See `Client.partitions`."""
        calls = [partition_call(group, params) for group in groups]
        return results_or_raise(await self._outcomes(calls))

    async def preferences(
        self, groups: Sequence[Group], **params: Unpack[PreferenceParams]
    ) -> list[GroupPreference]:
        """See `Client.preferences`."""
        calls = [preference_call(group, params) for group in groups]
        return results_or_raise(await self._outcomes(calls))

    async def rollout(
        self, rollout: CohortRollout, **params: Unpack[RolloutParams]
    ) -> RolloutReward:
        """See `Client.rollout`."""
        deadline = self._deadline(rollout.deadline_s)
        return await self._result(rollout_call(rollout, params), deadline)

    async def aclose(self) -> None:
        """Closes the connections; the next request opens new ones."""
        if self._http is not None:
            await self._connections().aclose()
            self._http = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    async def _outcomes(self, calls: Sequence[Call[T]]) -> list[T | Unavailable]:
        deadline, free = self._deadline(), asyncio.Semaphore(self.options.parallel)

        async def outcome(call: Call[T]) -> T | Unavailable:
            async with free:
                try:
                    return await self._result(call, deadline)
                except Unavailable as failure:
                    return failure

        tasks = [asyncio.ensure_future(outcome(call)) for call in calls]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _result(self, call: Call[T], deadline: float) -> T:
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
                    await asyncio.sleep(step.seconds)
                    continue
                try:
                    outcome = await self._connections().post(
                        step.url, content=step.content, headers=step.headers, timeout=step.timeout
                    )
                except httpx.TransportError as error:
                    outcome = error

    def _connections(self) -> httpx.AsyncClient:
        """The connections of this process and event loop: they cannot outlive the loop."""
        here = (os.getpid(), asyncio.get_running_loop())
        if self._http is None or self._http[:2] != here:
            try:
                self._http = (*here, httpx.AsyncClient(limits=LIMITS))
            except (ValueError, TypeError, ImportError, httpx.InvalidURL) as error:
                raise wrong_proxy(error) from error
        return self._http[2]
