"""A refusal is repeated to requests like it, by their headers alone, and to no others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import get_args

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from darling_service.errors import Overloaded, Refusal
from darling_service.http import refuse_alike
from darling_service.http.body_budget import SMALL_BYTES
from darling_service.http.middleware import RequestSigns
from darling_service.http.problems import problem_response
from darling_service.http.refuse_alike import RefuseAlike
from darling_service.telemetry import Telemetry

SIZE = 1100
"""Bytes of the body of the request that is refused, whose caller waits 10 s."""


class App:
    """Refuses the first request by a reason, and answers 200 to whatever else reaches it."""

    def __init__(self, reason: Refusal) -> None:
        self.reason, self.reached = reason, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached += 1
        answer = Response("{}")
        if self.reached == 1:
            problem = Overloaded(self.reason, "come back later", retry_after_s=7)
            answer = problem_response(problem)
        await answer(scope, receive, send)


Ask = Callable[..., Awaitable[httpx.Response]]


def play(
    scenario: Callable[[Ask], Awaitable[None]], reason: Refusal = "queue", size: int = SIZE
) -> tuple[App, str]:
    """The app after a request of this size has been refused and a scenario; and the metrics."""
    app, telemetry = App(reason), Telemetry()

    async def main() -> None:
        transport = httpx.ASGITransport(RequestSigns(RefuseAlike(app), telemetry))

        async def ask(
            size: int = SIZE, path: str = "/v1/rewards", wait: str | None = "10", **headers: str
        ) -> httpx.Response:
            told = {} if wait is None else {"X-Request-Timeout": wait}
            return await http.post(path, content=b"x" * size, headers={**told, **headers})

        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            first = await ask(size)
            assert first.status_code == 429
            await scenario(ask)

    asyncio.run(main())
    return app, telemetry.exposition().decode()


@pytest.mark.parametrize("reason", ["queue", "time"])
@pytest.mark.parametrize(("size", "wait"), [(SIZE, "10"), (SIZE + 50, "10"), (SIZE, "0.5")])
def test_who_asks_for_as_much_in_no_more_time_gets_the_same_answer(
    reason: Refusal, size: int, wait: str
) -> None:
    async def scenario(ask: Ask) -> None:
        for number in range(3):
            answer = await ask(size, wait=wait, **{"X-Request-ID": f"r{number}"})
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "7"
            assert answer.json()["detail"] == "come back later"
            assert answer.json()["request_id"] == f"r{number}"

    app, metrics = play(scenario, reason)
    assert app.reached == 1
    assert f'darling_refused_total{{reason="{reason}"}} 4.0' in metrics


@pytest.mark.parametrize(
    "other",
    [
        {"size": SIZE - 1},
        {"size": 2 * SIZE},
        {"size": SIZE // 2},
        {"path": "/v1/partitions"},
        {"wait": "11"},
        {"wait": None},
        {"wait": "soon"},
        {"content-encoding": "gzip"},
        {"content-length": "many"},
    ],
)
def test_any_other_request_is_looked_at(other: dict[str, str | None]) -> None:
    async def scenario(ask: Ask) -> None:
        assert (await ask(**other)).status_code == 200

    assert play(scenario, "time")[0].reached == 2


def test_the_sender_of_a_large_body_is_not_answered_in_the_middle() -> None:
    async def scenario(ask: Ask) -> None:
        assert (await ask(SMALL_BYTES + 1)).status_code == 200

    assert play(scenario, size=SMALL_BYTES + 1)[0].reached == 2


def test_after_another_answer_it_is_looked_at_again() -> None:
    async def scenario(ask: Ask) -> None:
        assert (await ask(path="/v1/partitions")).status_code == 200
        assert (await ask()).status_code == 200

    assert play(scenario)[0].reached == 3


def test_after_a_while_it_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refuse_alike, "HOLD_S", 0.0)

    async def scenario(ask: Ask) -> None:
        assert (await ask()).status_code == 200

    assert play(scenario)[0].reached == 2


@pytest.mark.parametrize("reason", sorted({*get_args(Refusal)} - {"queue", "time"}))
def test_what_other_requests_do_not_share_is_not_repeated(reason: Refusal) -> None:
    async def scenario(ask: Ask) -> None:
        assert (await ask()).status_code == 200

    assert play(scenario, reason)[0].reached == 2
