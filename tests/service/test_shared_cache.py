"""The shared cache on a real Redis: replicas share pairs, and a failing Redis fails nobody."""

import asyncio
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from darling_models.errors import ModelError
from darling_service.pipeline import Pipeline
from darling_service.schemas.requests import RewardRequest
from darling_service.settings import Settings
from tests.models.test_cross_encoder import TEXTS, bert

PROGRAM = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(
    PROGRAM is None or find_spec("redis") is None,
    reason="needs a redis-server on the PATH and pip install '.[redis]'",
)
GROUP = {"prompt": "", "rollouts": TEXTS, "quality": [1.0] * len(TEXTS)}
REQUEST = RewardRequest.model_validate({"groups": [GROUP], "return_probabilities": True})


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """(URL, process) of a server that keeps nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(PROGRAM), "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "redis-server does not start"
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0", process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(timeout=30)


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    bert(folder, num_labels=2)
    return f"cross-encoder:{folder}"


def answers(checkpoint: str, url: str | None, times: int = 1) -> list[Any]:
    """The answers of a fresh replica, one after the other."""

    async def main() -> list[Any]:
        # Without a memory of its own, so that each answer shows what is shared.
        pipeline = Pipeline(Settings(model=checkpoint, cache_url=url, cache_bytes=0))
        await pipeline.start()
        try:
            return [await pipeline.rewards(REQUEST) for _ in range(times)]
        finally:
            await pipeline.stop()

    return asyncio.run(main())


Redis = tuple[str, subprocess.Popen[bytes]]


def test_a_second_replica_finds_what_the_first_has_judged(checkpoint: str, redis: Redis) -> None:
    (first,), (second,) = answers(checkpoint, redis[0]), answers(checkpoint, redis[0])
    assert (first.usage.classified, first.usage.cached) == (6, 0)
    assert (second.usage.classified, second.usage.cached, second.usage.tokens) == (0, 6, 0)
    assert second.groups == first.groups


def test_what_is_no_result_is_not_believed(checkpoint: str, redis: Redis) -> None:
    from redis import Redis as Client

    (first,) = answers(checkpoint, redis[0])
    client = Client.from_url(redis[0])
    keys = client.keys("darling:*")
    assert len(keys) == 6
    for number, key in enumerate(keys):
        client.set(key, b"\x00" * 7 if number % 2 else b"\xff" * 13)
    client.close()
    (second,) = answers(checkpoint, redis[0])
    assert second.usage.classified == 6
    assert second.groups == first.groups


@pytest.mark.parametrize("stop", [signal.SIGSTOP, signal.SIGKILL])
def test_a_redis_that_hangs_or_is_gone_fails_no_request(
    checkpoint: str, redis: Redis, stop: signal.Signals
) -> None:
    (alone,) = answers(checkpoint, None)
    redis[1].send_signal(stop)
    for answer in answers(checkpoint, redis[0], times=3):
        assert answer.usage.classified == 6
        assert answer.groups == alone.groups


def test_a_url_that_is_none_is_refused(checkpoint: str) -> None:
    with pytest.raises(ModelError, match="cache_url is not a Redis URL"):
        answers(checkpoint, "somewhere:6379")
