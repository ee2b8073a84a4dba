"""The second level of the cache: pair results that replicas share through Redis.

Only pairs: they are what is dear (a cross-encoder, a remote model, a judge), thirteen bytes each.
Redis is a help and never a need: a look-up takes `READ_S` at most, and after a failure Redis is
left alone for `REST_S`; results are written in the background, and dropped when they cannot be.
What is read is checked for its form; whoever can write to that Redis can still change rewards.
"""

import asyncio
import logging
import struct
import time
from collections.abc import Sequence
from typing import Any

from darling_models.errors import ModelError
from darling_models.pairs import PairResult

log = logging.getLogger(__name__)

READ_S = 0.1
WRITE_S = 1.0
REST_S = 5.0
KEEP_S = 7 * 24 * 3600
MAX_WAITING = 20_000
"""Results that wait to be written; more are dropped."""
PREFIX = b"darling:"
PACKED = struct.Struct("<dI?")
"""Probability, tokens, truncated."""


class SharedCache:
    """For one event loop. Keys must carry the model's fingerprint."""

    def __init__(self, url: str) -> None:
        """Raises `ModelError` without the package or with a URL that is none. Does not connect."""
        try:
            from redis.asyncio import Redis
        except ImportError as error:
            raise ModelError(
                "cache_url needs redis; pip install 'darling-reward[redis]'"
            ) from error
        try:
            self._redis: Any = Redis.from_url(url, socket_connect_timeout=READ_S)
        except ValueError as error:
            raise ModelError(f"cache_url is no Redis URL: {error}") from error
        self._waiting: dict[bytes, bytes] = {}
        self._writing: asyncio.Task[None] | None = None
        self._resting_until = 0.0

    async def get(self, keys: Sequence[bytes]) -> dict[bytes, PairResult]:
        """What is known of these keys; nothing when Redis cannot tell in time."""
        if not keys or self._resting():
            return {}
        try:
            async with asyncio.timeout(READ_S):
                values = await self._redis.mget([PREFIX + key for key in keys])
        except Exception as error:
            self._rest(error)
            return {}
        found = {key: _read(value) for key, value in zip(keys, values, strict=True)}
        return {key: result for key, result in found.items() if result is not None}

    def put(self, key: bytes, result: PairResult) -> None:
        """Writes it soon, or never."""
        if self._resting() or len(self._waiting) >= MAX_WAITING:
            return
        packed = PACKED.pack(result.probability, result.tokens, result.truncated)
        self._waiting[PREFIX + key] = packed
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Once what waits has been written, or given up."""
        if self._writing is not None:
            await self._writing
        await self._redis.aclose()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                async with asyncio.timeout(WRITE_S), self._redis.pipeline(False) as pipe:
                    for key, packed in batch.items():
                        pipe.set(key, packed, ex=KEEP_S)
                    await pipe.execute()
            except Exception as error:
                self._waiting.clear()
                self._rest(error)

    def _resting(self) -> bool:
        return time.monotonic() < self._resting_until

    def _rest(self, error: Exception) -> None:
        if not self._resting():
            log.warning("the shared cache is left alone for %g s: %r", REST_S, error)
        self._resting_until = time.monotonic() + REST_S


def _read(value: bytes | None) -> PairResult | None:
    if value is None or len(value) != PACKED.size:
        return None
    probability, tokens, truncated = PACKED.unpack(value)
    return PairResult(probability, tokens, truncated) if 0.0 <= probability <= 1.0 else None
