"""The task's own reward, from a function of one rollout, blocking or async."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any


async def qualities_of(
    rollouts: Sequence[tuple[Any, ...]], quality: Callable[..., Any]
) -> list[float | None]:
    """`quality(*rollout)` for each of the rollouts. Awaitables it returns run concurrently."""

    async def one(rollout: tuple[Any, ...]) -> float | None:
        value = quality(*rollout)
        if inspect.isawaitable(value):
            value = await value
        return None if value is None else float(value)

    return list(await asyncio.gather(*map(one, rollouts)))
