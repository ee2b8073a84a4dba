"""The second level of the cache: results of pairs, which replicas share through Redis.

Only results of pairs are shared: they are expensive (a cross-encoder, a remote model, an LLM judge)
and take 29 bytes each. The service never depends on Redis: a look-up takes `READ_S` at most, after
any failure Redis is left alone for `REST_S`, and results are written in the background or dropped.
A value names the key that it belongs to, so that what was answered to another question, or is
anything but a result, is not believed; but whoever can write to that Redis can change rewards.
"""

import asyncio
import logging
import struct
import time
from collections.abc import Sequence
from hashlib import blake2b
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
PACKED = struct.Struct("<16sdI?")
"""A result in 29 bytes: a digest of its key, probability, tokens, truncated."""
MAX_TOKENS = 2**32 - 1
"""Largest number of tokens that is stored; a greater one is not."""


class SharedCache:
    """A Redis client for one event loop. Keys must contain the model's fingerprint."""

    def __init__(self, url: str) -> None:
        """Does not connect. Raises `ModelError` if redis is not installed or the URL is wrong."""
        require("redis", ["redis"])
        from redis.asyncio import Redis

        try:
            self._redis: Any = Redis.from_url(url, socket_connect_timeout=READ_S)
        except (ValueError, TypeError) as error:
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
            results = {key: _unpack(key, value) for key, value in zip(keys, values, strict=True)}
        except Exception as error:  # also an answer with too few values, or with none
            self._rest(error)
            return {}
        return {key: result for key, result in results.items() if result is not None}

    def put(self, key: bytes, result: PairResult) -> None:
        """Writes the result soon, or drops it."""
        if self._resting() or len(self._waiting) >= MAX_WAITING or result.tokens > MAX_TOKENS:
            return
        self._waiting[PREFIX + key] = _pack(key, result)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Closes the connection once the waiting results are written or dropped."""
        if self._writing is not None:
            await self._writing
        try:
            async with asyncio.timeout(WRITE_S):
                await self._redis.aclose()
        except Exception as error:
            log.warning("the connection to the shared cache did not close: %r", error)

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


def _pack(key: bytes, result: PairResult) -> bytes:
    return PACKED.pack(_digest(key), result.probability, result.tokens, result.truncated)


def _unpack(key: bytes, value: object) -> PairResult | None:
    """The result of this key in a value; None if the value is nothing, or anything else."""
    if not isinstance(value, bytes) or len(value) != PACKED.size:
        return None
    digest, probability, tokens, truncated = PACKED.unpack(value)
    result = PairResult(probability, tokens, truncated)
    return result if digest == _digest(key) and result.fault is None else None


def _digest(key: bytes) -> bytes:
    return blake2b(key, digest_size=16).digest()
