"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import closing
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


class AsyncClient(Options):
    """`Client` with methods to await. May be used from one event loop after another."""

    _http: tuple[int, asyncio.AbstractEventLoop, httpx.AsyncClient] | None = None

    async def rewards(
        self, groups: Sequence[Group], **params: Unpack[RewardParams]
    ) -> list[GroupRewards]:
        return all_answered(await self.try_rewards(groups, **params))

    async def try_rewards(
        self, groups: Sequence[Group], **params: Unpack[RewardParams]
    ) -> list[GroupRewards | Unavailable]:
        return await self._answers([rewards_call(group, params) for group in groups])

    async def partitions(
        self, groups: Sequence[Group], **params: Unpack[PartitionAsked]
    ) -> list[GroupPartition]:
        calls = [partition_call(group, params) for group in groups]
        return all_answered(await self._answers(calls))

    async def preferences(
        self, groups: Sequence[Group], **params: Unpack[PreferenceAsked]
    ) -> list[GroupPreference]:
        calls = [preference_call(group, params) for group in groups]
        return all_answered(await self._answers(calls))

    async def rollout(
        self, rollout: CohortRollout, **params: Unpack[RolloutParams]
    ) -> RolloutReward:
        deadline = self.deadline(rollout.deadline_s)
        return await self._answer(rollout_call(rollout, params), deadline)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._connections().aclose()
            self._http = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    async def _answers(self, calls: Sequence[Call[T]]) -> list[T | Unavailable]:
        deadline, free = self.deadline(), asyncio.Semaphore(self.parallel)

        async def attempt(call: Call[T]) -> T | Unavailable:
            async with free:
                try:
                    return await self._answer(call, deadline)
                except Unavailable as failure:
                    return failure

        attempts = [asyncio.ensure_future(attempt(call)) for call in calls]
        try:
            return list(await asyncio.gather(*attempts))
        finally:
            for one in attempts:
                one.cancel()

    async def _answer(self, call: Call[T], deadline: float) -> T:
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
                    await asyncio.sleep(step.seconds)
                    continue
                try:
                    outcome = await self._connections().post(
                        step.url, content=step.content, headers=step.headers, timeout=step.timeout
                    )
                except httpx.TransportError as error:
                    outcome = error

    def _connections(self) -> httpx.AsyncClient:
        """Those of this process and event loop: a connection cannot outlive its loop."""
        here = (os.getpid(), asyncio.get_running_loop())
        if self._http is None or self._http[:2] != here:
            self._http = (*here, httpx.AsyncClient(limits=LIMITS))
        return self._http[2]
