"""Requests that come at once: read in turn, or refused unparsed where there is no room for them."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from darling_service.http import turns
from tests.faults.in_process import client_of
from tests.texts import essay

AT_ONCE = 200
LARGE, SMALL = 12, 2
"""Rollouts of a group."""
READ, UNREAD = "the queue is full", "many requests came at once"
"""How the words of a refusal tell whether the request was read."""


@pytest.fixture(autouse=True)
def every_turn_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LATE_S", 0.0)


def body(number: int, rollouts: int) -> dict[str, Any]:
    texts = [f"{number} {place} {essay(number + place, 60)}" for place in range(rollouts)]
    return {"groups": [{"prompt": "p", "rollouts": texts, "quality": [1.0] * rollouts}]}


async def at_once(http: httpx.AsyncClient, *bodies: dict[str, Any]) -> list[httpx.Response]:
    return await asyncio.gather(*(http.post("/v1/rewards", json=one) for one in bodies))


@pytest.mark.heavy
def test_late_requests_of_a_size_for_which_the_queue_has_no_room_are_refused_unread() -> None:
    async def ask() -> None:
        async with client_of(model="embedded", max_queue_tokens=1) as http:
            large = [body(number, LARGE) for number in range(AT_ONCE)]
            *answers, small = await at_once(http, *large, body(AT_ONCE, SMALL))
            said = Counter(
                200 if one.status_code == 200 else one.json()["detail"].partition(":")[0]
                for one in answers
            )
            unread = sum(count for words, count in said.items() if str(words).startswith(UNREAD))
            assert said[200] >= 1
            assert said[READ] >= 1
            assert unread > AT_ONCE / 2
            assert said[200] + said[READ] + unread == AT_ONCE
            refused = [one for one in answers if one.status_code == 429]
            assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
            assert small.status_code == 200, "there is room for its size"
            assert (await http.post("/v1/rewards", json=large[-1])).status_code == 200
            metrics = (await http.get("/metrics")).text
        counted = f'darling_requests_total{{route="/v1/rewards",status="429"}} {len(refused)}.0'
        assert counted in metrics
        assert f'darling_refused_total{{reason="queue"}} {len(refused)}.0' in metrics

    asyncio.run(ask())


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("more", "headers"),
    [
        ({"model": "ngram"}, {}),  # another queue
        ({}, {"content-encoding": "gzip"}),  # its size does not show
        ({}, {"transfer-encoding": "chunked"}),  # nor here
    ],
    ids=["model", "gzip", "chunked"],
)
def test_a_request_that_may_take_less_room_is_read(
    more: dict[str, Any], headers: dict[str, str]
) -> None:
    async def ask() -> None:
        async with client_of(model="embedded", max_queue_tokens=1) as http:
            large = [body(number, LARGE) for number in range(AT_ONCE)]
            content = json.dumps({**body(AT_ONCE, LARGE), **more}).encode()
            if "content-encoding" in headers:
                content = gzip.compress(content)

            async def pieces() -> AsyncIterator[bytes]:
                yield content

            whole: Any = pieces() if "transfer-encoding" in headers else content
            own = {"content-type": "application/json", **headers}
            *answers, last = await asyncio.gather(
                *(http.post("/v1/rewards", json=one) for one in large),
                http.post("/v1/rewards", content=whole, headers=own),
            )
        said = [one.json().get("detail", "") for one in answers]
        assert any(words.startswith(UNREAD) for words in said)
        assert not last.json().get("detail", "").startswith(UNREAD)
        assert last.status_code == (200 if more else 429)

    asyncio.run(ask())


def test_where_there_is_room_all_that_come_at_once_are_answered() -> None:
    async def ask() -> None:
        async with client_of() as http:
            answers = await at_once(http, *(body(number, SMALL) for number in range(AT_ONCE)))
        assert {one.status_code for one in answers} == {200}

    asyncio.run(ask())


def test_a_caller_that_goes_while_it_waits_holds_up_nobody() -> None:
    async def ask() -> None:
        async with client_of() as http:
            asked = [
                asyncio.create_task(http.post("/v1/rewards", json=body(number, SMALL)))
                for number in range(AT_ONCE)
            ]
            await asyncio.sleep(0)
            for task in asked[::2]:
                task.cancel()
            answers = await asyncio.gather(*asked[1::2])
            assert {one.status_code for one in answers} == {200}

    asyncio.run(ask())
