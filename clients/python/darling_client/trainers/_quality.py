"""The task's own reward, from a function of one rollout that may have to be awaited."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any


async def quality_of(
    quality: Callable[..., Any], rollouts: Sequence[tuple[Any, ...]]
) -> list[float | None]:
    """`quality(*rollout)` of each; those to await run at the same time."""

    async def one(rollout: tuple[Any, ...]) -> float | None:
        value = quality(*rollout)
        if inspect.isawaitable(value):
            value = await value
        return None if value is None else float(value)

    return list(await asyncio.gather(*map(one, rollouts)))
