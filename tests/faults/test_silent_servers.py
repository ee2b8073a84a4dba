"""What never answers: it costs those who wait for it an error, and nobody else anything."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_models.errors import ModelHung
from darling_service.engine.engine import Engine
from darling_service.engine.thread import ModelThread
from darling_service.errors import Unavailable
from tests.conftest import Service, running, until
from tests.servers.silent import Silent, silent
from tests.service.test_engine import ByLength, judged, play, turns

TIMEOUT_S = 2


def classified(body: Any) -> Any:
    return {"data": [{"index": i, "probs": [0.25]} for i in range(len(body["input"]))]}


def verdict(body: Any) -> Any:
    return {"choices": [{"message": {"content": '{"same": false}'}}]}


def rewarded(body: Any) -> Any:
    return {"rewards": [0.75]}


KINDS: dict[str, tuple[Callable[[str], tuple[str, ...]], Callable[[Any], Any]]] = {
    "remote": (lambda url: ("--model", f"remote:{url}"), classified),
    "judge": (lambda url: ("--model", f"judge:m@{url}", "--judge-verdict", "json"), verdict),
    "reward server": (lambda url: ("--model", "exact", "--quality", url), rewarded),
}
"""Arguments of a service behind which a server stands, and what that server answers."""


@contextmanager
def behind(kind: str, folder: Path) -> Iterator[tuple[Silent, Service]]:
    arguments, answer = KINDS[kind]
    with silent() as server:
        server.speak(answer)
        own = ("--model-timeout-s", str(TIMEOUT_S), *arguments(server.url))
        with running(folder / "log", *own) as service:
            yield server, service


def send(service: Service, kind: str, text: str, timeout: float = 60) -> httpx.Response:
    """A request that needs an answer of the server behind the service."""
    path: str
    body: dict[str, Any]
    if kind == "reward server":
        path, body = "/get_reward?n=1", {"query": [f"p{text}"], "prompts": ["p"], "labels": ["x"]}
    else:
        group = {"prompt": "p", "rollouts": ["a", text], "quality": [1.0, 1.0]}
        path, body = "/v1/rewards", {"groups": [group]}
    return httpx.post(service.url + path, json=body, timeout=timeout)


def is_ready(service: Service) -> bool:
    return httpx.get(f"{service.url}/health/ready", timeout=30).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_silent_server_holds_up_only_those_who_wait_for_it(tmp_path: Path, kind: str) -> None:
    _, answer = KINDS[kind]
    with behind(kind, tmp_path) as (server, service), ThreadPoolExecutor(8) as callers:
        server.fall_silent()
        with pytest.raises(httpx.ReadTimeout):
            send(service, kind, "hangs up", timeout=0.5)
        patient = [callers.submit(send, service, kind, f"waits {i}") for i in range(6)]
        until(lambda: len(server.swallowed) > 1)
        server.speak(answer)
        started = time.monotonic()
        assert send(service, kind, "comes later").status_code == 200
        assert any(not one.done() for one in patient), "it did not wait for those before it"
        assert [one.result().status_code for one in patient] == [200] * 6, "asked once more"
        assert time.monotonic() - started < 10 * TIMEOUT_S
        assert is_ready(service)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_stays_silent_is_told_to_callers_and_readiness(
    tmp_path: Path, kind: str
) -> None:
    _, answer = KINDS[kind]
    with behind(kind, tmp_path) as (server, service):
        server.fall_silent()
        refused = send(service, kind, "waits")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert "silent" in refused.json()["detail"]
        assert len(server.swallowed) == 2, "asked once more"
        assert not is_ready(service)
        assert httpx.get(f"{service.url}/health/live").status_code == 200
        server.speak(answer)
        until(lambda: is_ready(service))
        assert send(service, kind, "comes later").status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_does_not_wait_for_a_silent_server(tmp_path: Path, kind: str) -> None:
    arguments, answer = KINDS[kind]
    with silent() as server, ThreadPoolExecutor(1) as callers:
        server.speak(answer)
        own = ("--shutdown-grace-s", "1", *arguments(server.url))  # and model_timeout_s is 60
        with running(tmp_path / "log", *own) as service:
            server.fall_silent()
            waiting = callers.submit(send, service, kind, "waits")
            until(lambda: len(server.swallowed) == 1)
            service.process.terminate()
            assert waiting.result().status_code == 503
            assert service.process.wait(timeout=30) == 0
        assert "Traceback" not in service.log.read_text()


def test_a_local_model_that_hangs_is_given_up_and_the_next_request_is_answered() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        waiting = asyncio.create_task(judged(engine, "aa", "bb"))
        await turns()
        behind = asyncio.create_task(judged(engine, "cc", "dd"))
        with pytest.raises(Unavailable, match=r"the model hangs: no result in model_timeout_s"):
            await waiting
        assert not engine.model.healthy
        model.gate.set()
        assert await behind == [1.0]
        assert await judged(engine, "aa", "bb") == [1.0]
        assert await engine.model.ready()

    play(scenario, max_batch_tokens=4, model_timeout_s=0.3)


def test_comparing_that_hangs_is_given_up_and_the_next_request_is_answered() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        model.gate.set()
        model.step_s = 2
        waiting = asyncio.create_task(judged(engine, "aa", "bb"))
        await asyncio.to_thread(until, lambda: model.steps > 0)
        model.step_s = 0
        behind = asyncio.create_task(judged(engine, "cc", "dd"))
        with pytest.raises(Unavailable, match=r"the model hangs: no result in model_timeout_s"):
            await waiting
        assert not engine.model.healthy
        assert await behind == [1.0]
        assert await engine.model.ready()

    play(scenario, max_batch_tokens=4, model_timeout_s=0.3)


def test_a_function_that_raises_a_timeout_of_its_own_has_not_hung() -> None:
    def impatient() -> None:
        raise TimeoutError("its own")

    async def main() -> None:
        thread = ModelThread("model", 5)
        with pytest.raises(TimeoutError, match="its own"):
            await thread.call(impatient)
        assert await thread.call(int, "7") == 7
        with pytest.raises(ModelHung):
            await ModelThread("model", 0.01).call(time.sleep, 0.2)
        thread.stop()

    asyncio.run(main())
