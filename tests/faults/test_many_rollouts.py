"""A batch of thousands of rollouts leaves the event loop to other requests."""

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient

from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.settings import Settings
from darling_service.trainers import rollouts


def batch(groups: int, size: int) -> dict[str, list[str]]:
    prompts = [f"p{group}" for group in range(groups) for _ in range(size)]
    return {"prompts": prompts, "query": [f"{prompt} a{k % 3}" for k, prompt in enumerate(prompts)]}


@pytest.fixture(scope="module")
def client() -> Any:
    with TestClient(create_app(Service(Settings(model="exact")))) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/get_reward", batch(1, 513), "query: 513 rollouts are over max_rollouts = 512"),
        ("/get_reward?n=513", batch(1, 1), "query.n: 513 rollouts are over max_rollouts = 512"),
        ("/get_reward", batch(1025, 2), "prompts: 1025 groups are over max_groups = 1024"),
    ],
)
def test_counts_are_checked_before_any_rollout_joins(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, said: str
) -> None:
    monkeypatch.setattr("darling_service.trainers.openrlhf.rewards", None)
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(said)


def test_few_rollouts_join_at_one_turn_of_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = [0]
    request_of = rollouts._request

    def counted(*args: Any) -> Any:
        joined[-1] += 1
        return request_of(*args)

    async def count_turns() -> None:
        while True:
            await asyncio.sleep(0)
            joined.append(0)

    async def start() -> "asyncio.Task[None]":
        return asyncio.create_task(count_turns())

    monkeypatch.setattr(rollouts, "_request", counted)
    assert client.portal is not None
    counting = client.portal.call(start)
    answer = client.post("/get_reward", json=batch(20, 50))
    client.portal.call(lambda: counting.cancel())
    assert answer.status_code == 200
    assert len(answer.json()["rewards"]) == sum(joined) == 1000
    assert max(joined) <= rollouts.SLICE
