"""What is counted and recorded of groups: not those that are only tried out, and never at the
cost of a reward."""

import asyncio
from pathlib import Path
from typing import Any, NoReturn

import pytest

from darling_service.history import observer
from darling_service.history.history import History
from darling_service.history.recorded import WholeGroup
from darling_service.history.sample import Sample
from darling_service.run_metrics import RunMetrics
from darling_service.telemetry import Telemetry
from tests.faults.in_process import client_of

GROUP = {"prompt": "p", "rollouts": ["a", "a", "b"], "quality": [1.0, 0.5, 0.0]}
MEMBER = {"prompt": "p", "text": "a", "quality": 1.0, "group_id": 1, "group_size": 1}
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/rewards": {"groups": [GROUP]},
    "/v1/partitions": {"groups": [{"prompt": "p", "rollouts": ["a", "a", "b"]}]},
    "/v1/preferences": {"groups": [GROUP]},
    "/v1/rollouts": MEMBER,
}
GROUPED = ("/v1/rewards", "/v1/partitions", "/v1/preferences")


def fail(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("no room for s3cret")


BREAKS: dict[str, tuple[Any, str]] = {
    "the figures": (observer, "figures_of"),
    "the metrics of groups": (Telemetry, "observe_group"),
    "the metrics of runs": (RunMetrics, "observe"),
    "the history": (History, "record"),
    "the sample": (Sample, "draws"),
    "the group's key": (WholeGroup, "key"),
}


def value(metrics: str, name: str) -> float:
    (line,) = [line for line in metrics.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[-1])


@pytest.mark.parametrize("broken", BREAKS)
def test_an_error_in_recording_fails_no_reward_and_is_logged_once(
    broken: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask() -> None:
        async with client_of(history_url=f"sqlite:///{tmp_path}/history.db") as http:

            async def answers(attempt: int) -> list[dict[str, Any]]:
                run = {"name": "r", "step": attempt}
                bodies = [{**body, "run": run} for body in ROUTES.values()]
                bodies[-1]["attempt"] = attempt
                sent = [
                    await http.post(path, json=body)
                    for path, body in zip(ROUTES, bodies, strict=True)
                ]
                assert {answer.status_code for answer in sent} == {200}
                return [answer.json() | {"usage": None} for answer in sent]

            before = await answers(1)
            monkeypatch.setattr(*BREAKS[broken], fail)
            assert await answers(2) == before
            metrics = (await http.get("/metrics")).text
            assert value(metrics, "darling_unobserved_groups_total") == len(ROUTES)

    asyncio.run(ask())
    (told,) = [record for record in caplog.records if record.name == observer.__name__]
    assert "their rewards are right" in told.getMessage()


def test_groups_that_are_only_tried_out_belong_to_no_run(tmp_path: Path) -> None:
    async def ask() -> None:
        async with client_of(history_url=f"sqlite:///{tmp_path}/history.db") as http:

            async def send(path: str, **more: Any) -> None:
                answer = await http.post(path, json={**ROUTES[path], **more})
                assert answer.status_code == 200, answer.text

            for path in GROUPED:
                await send(path, record=False)
                await send(path, record=False, run={"name": "tried", "step": 1})
            # The one that is recorded comes last: what is written with it is known by then.
            await send("/v1/rewards", run={"name": "trained", "step": 1})
            runs: list[dict[str, Any]] = []
            while not runs:
                await asyncio.sleep(0.05)
                runs = (await http.get("/v1/history/runs")).json()["runs"]
            assert [(run["run"], run["groups"]) for run in runs] == [("trained", 1)]
            metrics = (await http.get("/metrics")).text
            assert value(metrics, 'darling_run_groups_total{run="trained"}') == 1
            assert metrics.count("\ndarling_run_groups_total{") == 1
            assert value(metrics, "darling_groups_total") == 2 * len(GROUPED) + 1

    asyncio.run(ask())


@pytest.mark.parametrize("wrong", ["yes", 2, None])
def test_a_request_says_yes_or_no_to_being_recorded(wrong: object) -> None:
    async def ask() -> None:
        async with client_of() as http:
            answer = await http.post("/v1/rewards", json={"groups": [GROUP], "record": wrong})
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith("record: ")

    asyncio.run(ask())
