"""The audit of correctness: a sample of the answered requests is scored again and compared.

A request is scored again by itself: every text or pair in a batch of its own, past the queue and
the caches, and only while no request is being answered (`engine.alone`). The two answers must be
the same bits. What this finds are faults that no caller can see: a damaged cache, memory that
flips, kernels whose result depends on what else is in the batch.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import orjson

from darling_service.errors import Problem
from darling_service.schemas.responses import (
    EquivalenceResponse,
    PartitionResponse,
    PreferenceResponse,
    RewardResponse,
    Usage,
)
from darling_service.telemetry import Telemetry
from darling_service.tracing import span

log = logging.getLogger(__name__)

Response = TypeVar(
    "Response", RewardResponse, PartitionResponse, PreferenceResponse, EquivalenceResponse
)


class Audit:
    """Scores one request at a time again; those that are drawn meanwhile are skipped."""

    def __init__(self, share: float, telemetry: Telemetry) -> None:
        """`share`: the part of all requests that are drawn, from 0 to 1."""
        self._share = share
        self._telemetry = telemetry
        self._task: asyncio.Task[None] | None = None

    def consider(self, response: Response, again: Callable[[], Awaitable[Response]]) -> None:
        """Draws a request, perhaps, whose response is about to be sent. Returns at once.

        `again` scores the request again.
        """
        if self._share == 0 or random.random() >= self._share:
            return
        if self._task is not None and not self._task.done():
            self._count("skipped")
            return
        self._task = asyncio.create_task(self._compare(response, again))

    def stop(self) -> None:
        """Gives up the request that is being scored again."""
        if self._task is not None:
            self._task.cancel()

    async def _compare(self, response: Response, again: Callable[[], Awaitable[Response]]) -> None:
        """Counts and logs what comes of it. The log's line has the id of the request, in whose
        context the task was made."""
        try:
            with span("audit"):
                other = await again()
        except Exception as fault:
            unexpected = None if isinstance(fault, Problem) else fault
            log.warning("a request could not be scored again", exc_info=unexpected)
            self._count("failed")
            return
        if await asyncio.to_thread(_same_bits, response, other):
            self._count("equal")
            return
        self._count("differing")
        log.error(
            "an answer differs from that of its request scored again by itself: the cache, this "
            "machine's memory or its kernels are at fault; stop training on its rewards"
        )

    def _count(self, outcome: str) -> None:
        self._telemetry.audits.labels(outcome).inc()


def _same_bits(response: Response, other: Response) -> bool:
    """Whether the two are the same JSON, in which numbers are told to the last bit, whatever it
    cost to make them."""
    free = Usage()
    return orjson.dumps(replace(response, usage=free)) == orjson.dumps(replace(other, usage=free))
