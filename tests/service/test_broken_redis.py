"""A shared cache that answers wrongly, slowly or not at all: no request fails because of it."""

import asyncio
import struct
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from darling_models.pairs import PairResult
from darling_service.engine import shared_cache
from darling_service.engine.shared_cache import SharedCache

KEYS = [b"model@1:a", b"model@1:b", b"model@1:c"]
RESULT = PairResult(0.25, 7, truncated=True)


class FakeRedis:
    """A client that keeps what is set, and answers MGET as a test says."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.mget: Callable[[Sequence[bytes]], Any] = self.right
        self.closing: Callable[[], Any] = self.right_close

    @classmethod
    def from_url(cls, url: str, **options: Any) -> "FakeRedis":
        return cls()

    async def right(self, keys: Sequence[bytes]) -> Any:
        return [self.kept.get(key) for key in keys]

    async def right_close(self) -> None:
        pass

    async def aclose(self) -> None:
        await self.closing()

    def pipeline(self, transaction: bool) -> "FakeRedis":
        return self

    async def __aenter__(self) -> "FakeRedis":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    def set(self, key: bytes, value: bytes, ex: int) -> None:
        self.kept[key] = value

    async def execute(self) -> None:
        pass


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> tuple[SharedCache, FakeRedis]:
    module = types.ModuleType("redis.asyncio")
    module.Redis = FakeRedis  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "redis", types.ModuleType("redis"))
    monkeypatch.setitem(sys.modules, "redis.asyncio", module)
    monkeypatch.setattr(shared_cache, "REST_S", 0.0)
    cache = SharedCache("redis://nowhere")
    return cache, cache._redis


async def stored(cache: SharedCache) -> None:
    for key in KEYS:
        cache.put(key, RESULT)
    assert cache._writing is not None
    await cache._writing


def answering(values: Any) -> Callable[[Sequence[bytes]], Any]:
    async def mget(keys: Sequence[bytes]) -> Any:
        if isinstance(values, BaseException):
            raise values
        return values

    return mget


WRONG: dict[str, Any] = {
    "too few": [None],
    "too many": [None] * 9,
    "none": None,
    "a number": 7,
    "bytes": b"OK!",
    "an error": ValueError("garbage"),
    "closed": ConnectionError("closed by the server"),
    "numbers": [1, 2, 3],
    "text": ["a", "b", "c"],
    "lists": [[], [b"x"], None],
    "errors": [ValueError("moved")] * 3,
    "short": [b"", b"\0", b"\0" * 28],
    "long": [b"\0" * 30] * 3,
    "noise": [b"\xff" * 29, b"\0" * 29, b"a" * 29],
    "nan": [struct.pack("<16sdI?", b"", float("nan"), 1, False)] * 3,
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_result_is_none(cache: tuple[SharedCache, FakeRedis], kind: str) -> None:
    shared, redis = cache

    async def main() -> None:
        redis.mget = answering(WRONG[kind])
        assert await shared.get(KEYS) == {}
        await shared.close()

    asyncio.run(main())


def test_answers_to_other_keys_are_not_believed(cache: tuple[SharedCache, FakeRedis]) -> None:
    """A connection that was cut off may answer the question before."""
    shared, redis = cache

    async def main() -> None:
        await stored(shared)
        assert await shared.get(KEYS) == dict.fromkeys(KEYS, RESULT)
        values = await redis.right([shared_cache.PREFIX + key for key in KEYS])
        redis.mget = answering([values[1], values[0], values[2]])
        assert await shared.get(KEYS) == {KEYS[2]: RESULT}
        await shared.close()

    asyncio.run(main())


def test_a_value_that_is_no_probability_is_not_believed(
    cache: tuple[SharedCache, FakeRedis],
) -> None:
    shared, redis = cache

    async def main() -> None:
        await stored(shared)
        for key, value in redis.kept.items():
            redis.kept[key] = value[:16] + struct.pack("<dI?", 1.5, 1, False)
        assert await shared.get(KEYS) == {}
        await shared.close()

    asyncio.run(main())


@pytest.mark.parametrize("seconds", [5, 3600])
def test_a_slow_one_is_not_waited_for(cache: tuple[SharedCache, FakeRedis], seconds: float) -> None:
    shared, redis = cache

    async def slow(*keys: Any) -> Any:
        await asyncio.sleep(seconds)

    async def main() -> None:
        redis.mget = redis.closing = slow
        assert await shared.get(KEYS) == {}
        await shared.close()

    asyncio.run(asyncio.wait_for(main(), timeout=4))


def test_a_result_that_does_not_fit_is_not_stored(cache: tuple[SharedCache, FakeRedis]) -> None:
    shared, redis = cache

    async def main() -> None:
        shared.put(KEYS[0], PairResult(0.5, 2**32, truncated=False))
        shared.put(KEYS[1], RESULT)
        await shared.close()

    asyncio.run(main())
    assert len(redis.kept) == 1
