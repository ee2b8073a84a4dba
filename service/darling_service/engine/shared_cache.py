"""The second level of the cache: results of pairs, which replicas share through Redis.

Only results of pairs are shared: they are expensive (a cross-encoder, a remote model, an LLM judge)
and take thirteen bytes each. The service never depends on Redis: a look-up takes `READ_S` at most,
after a failure Redis is left alone for `REST_S`, and results are written in the background or
dropped. Values are checked for their form, but whoever can write to that Redis can change rewards.
"""

import asyncio
import logging
import struct
import time
from collections.abc import Sequence
from typing import Any

from darling_models.errors import ModelError
from darling_models.extras import require
from darling_models.pairs import PairResult

log = logging.getLogger(__name__)

READ_S = 0.1
"""Seconds by which a look-up may delay a request."""
WRITE_S = 1.0
"""Seconds that a write may take; it runs in the background."""
REST_S = 5.0
"""Seconds without a look-up or write after Redis has failed."""
TTL_S = 7 * 24 * 3600
"""Seconds that a result is kept: a week."""
MAX_WAITING = 20_000
"""Results that may wait to be written; more are dropped."""
PREFIX = b"darling:"
"""Start of our keys, so that the Redis may hold other things."""
PACKED = struct.Struct("<dI?")
"""A result in thirteen bytes: probability, tokens, truncated."""


class SharedCache:
    """A Redis client for one event loop. Keys must contain the model's fingerprint."""

    def __init__(self, url: str) -> None:
        """Does not connect. Raises `ModelError` if redis is not installed or the URL is wrong."""
        require("redis", ["redis"])
        from redis.asyncio import Redis

        try:
            self._redis: Any = Redis.from_url(url, socket_connect_timeout=READ_S)
        except ValueError as error:
            raise ModelError(
                f"cache_url is not a Redis URL ({error}); write it as redis://HOST:PORT/DB"
            ) from error
        self._waiting: dict[bytes, bytes] = {}
        self._writing: asyncio.Task[None] | None = None
        self._resting_until = 0.0

    async def get(self, keys: Sequence[bytes]) -> dict[bytes, PairResult]:
        """The results of those keys that Redis has; empty if it does not answer in time."""
        if not keys or self._resting():
            return {}
        try:
            async with asyncio.timeout(READ_S):
                values = await self._redis.mget([PREFIX + key for key in keys])
        except Exception as error:
            self._rest(error)
            return {}
        results = {key: _read(value) for key, value in zip(keys, values, strict=True)}
        return {key: result for key, result in results.items() if result is not None}

    def put(self, key: bytes, result: PairResult) -> None:
        """Writes the result soon, or drops it."""
        if self._resting() or len(self._waiting) >= MAX_WAITING:
            return
        packed = PACKED.pack(result.probability, result.tokens, result.truncated)
        self._waiting[PREFIX + key] = packed
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Closes the connection once the waiting results are written or dropped."""
        if self._writing is not None:
            await self._writing
        await self._redis.aclose()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                async with asyncio.timeout(WRITE_S), self._redis.pipeline(False) as pipe:
                    for key, packed in batch.items():
                        pipe.set(key, packed, ex=TTL_S)
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
