"""An ingress replica and the words of the shared process, without a cluster around them."""

import asyncio
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

pytest.importorskip("ray", reason="Ray is not installed; make test-ray installs it")

from ray.exceptions import ObjectLostError, OutOfMemoryError

from darling_service.cluster import ingress
from darling_service.cluster.asking import Ended
from darling_service.cluster.ingress import IngressService
from darling_service.cluster.shared import Word
from darling_service.cluster.sharing import SharedProcess
from darling_service.http.stopping import AnswerWhileStopping
from darling_service.settings import Settings

RUNS, STOPS = (Word(keys=0, stopping=stopping, ready=True) for stopping in (False, True))


class Told(SharedProcess):
    """A shared process whose words are given."""

    def __init__(self, words: list[Word | Exception]) -> None:
        self._words = words

    async def ask(self, method: str, *question: Any) -> Any:
        """The next word; the last one again and again."""
        assert method == "beat"
        word = self._words.pop(0) if len(self._words) > 1 else self._words[0]
        if isinstance(word, Exception):
            raise word
        return word


def service(*words: Word | Exception, grace_s: float = 3) -> IngressService:
    settings = Settings(model="exact", shutdown_grace_s=grace_s)
    return IngressService(settings, "one", Told(list(words)), None)


def test_a_fault_of_any_kind_does_not_end_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress, "BEAT_S", 0.01)

    async def run() -> list[bool]:
        one = service(RUNS, OutOfMemoryError("killed"), RuntimeError("broken"), RUNS)
        await one.start()
        ready = [await one.ready()]
        async with asyncio.timeout(60):
            while len(ready) < 3:
                await asyncio.sleep(0)
                if (now := await one.ready()) is not ready[-1]:
                    ready.append(now)
        await one.stop(0)
        return ready

    assert asyncio.run(run()) == [True, False, True]


def test_a_replica_that_ray_kills_for_memory_has_ended() -> None:
    assert isinstance(OutOfMemoryError("killed"), Ended)
    assert isinstance(ObjectLostError("0" * 56, None, ""), Ended)


def test_requests_that_outlive_the_grace_get_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress, "BEAT_S", 0.01)
    arrived = asyncio.Event()

    async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async def run() -> int:
        one = service(RUNS, STOPS, grace_s=0.05)
        app = AnswerWhileStopping(hangs, one.requests)
        async with AsyncClient(transport=ASGITransport(app), base_url="http://here") as client:
            asking = asyncio.create_task(client.post("/v1/rewards"))
            await arrived.wait()
            await one.start()
            status = (await asking).status_code
        await one.stop(0)
        return status

    assert asyncio.run(run()) == 503
