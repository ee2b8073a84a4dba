"""The history of runs, through the routes of a service that keeps one."""

import asyncio
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_service.history import reading
from darling_service.history.recorded import RunKey
from darling_service.history.recorder import FLUSH_S
from darling_service.history.store import Store
from tests.conftest import Service, metric, running, until
from tests.faults.in_process import bearer, client_of, keys_of


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("history")
    url = f"sqlite:///{folder}/history.db"
    with running(folder / "log", "--model", "exact", "--history-url", url) as service:
        yield service


def group(*texts: str, quality: float = 1.0, name: str = "") -> dict[str, Any]:
    rollouts = [{"text": text, "quality": quality} for text in texts]
    return {"id": name or "-".join(texts), "prompt": "A word?", "rollouts": rollouts}


def send(http: httpx.Client, run: dict[str, Any] | None, *groups: dict[str, Any]) -> None:
    body: dict[str, Any] = {"groups": list(groups)}
    answer = http.post("/v1/rewards", json=body if run is None else {**body, "run": run})
    assert answer.status_code == 200, answer.text


def steps_of(http: httpx.Client, run: str, **params: Any) -> dict[str, Any]:
    answer = http.get("/v1/history/steps", params={"run": run, **params})
    return answer.json() if answer.status_code == 200 else {"steps": [], "series": {}}


def test_a_run_is_read_as_it_was_scored(recording: Service) -> None:
    with recording.client() as http:
        first = (group("a", "a", "b", "c"), group("a", "a", "a", "a", quality=0.5))
        send(http, {"name": "r/1 ü", "step": 3}, *first)
        send(http, {"name": "r/1 ü", "step": 7}, group("a", "b", quality=-2.0))
        until(lambda: steps_of(http, "r/1 ü")["steps"] == [3, 7])
        series = steps_of(http, "r/1 ü")["series"]
        assert series["groups"] == [2, 1]
        assert series["rollouts"] == [8, 2]
        assert series["classes"] == [2, 2]
        assert series["collapsed_share"] == [0.5, 0]
        assert series["dominant_share"] == [0.75, 0.5]
        assert series["quality"] == pytest.approx([0.75, -2])
        assert series["quality_distinct"] == pytest.approx([1, -2])
        assert series["quality_duplicated"] == [pytest.approx(4 / 6), None]
        assert series["effective_classes"][0] == pytest.approx((2**1.5 + 1) / 2)
        assert series["partial_groups"] == [0, 0]
        (run,) = [r for r in http.get("/v1/history/runs").json()["runs"] if r["run"] == "r/1 ü"]
        assert (run["first_step"], run["last_step"], run["steps"], run["groups"]) == (3, 7, 2, 3)
        assert (run["diversity"], run["collapsed_share"]) == (1, 0)
        kept = http.get("/v1/history/groups", params={"run": "r/1 ü", "step": 3}).json()["groups"]
        assert {one["group_id"] for one in kept} == {one["id"] for one in first}
        one = http.get(f"/v1/history/groups/{kept[0]['id']}").json()
        assert one == kept[0]
        assert [r["class"] for r in one["rollouts"]] in ([0, 0, 1, 2], [0, 0, 0, 0])
        assert len(one["probabilities"]) == 4


def test_groups_without_a_step_are_numbered_as_they_come(recording: Service) -> None:
    with recording.client() as http:
        send(http, {"name": "numbered", "step": 5}, group("a", "b"))
        send(http, {"name": "numbered"}, group("a", "b"), group("c", "c"))
        until(lambda: steps_of(http, "numbered")["steps"] == [5, 6, 7])
        send(http, {"name": "numbered"}, group("d", "e"))
        until(lambda: steps_of(http, "numbered")["steps"] == [5, 6, 7, 8])
        assert steps_of(http, "numbered")["series"]["collapsed_share"] == [0, 0, 1, 0]
        assert steps_of(http, "numbered", after=6)["steps"] == [7, 8]
        merged = steps_of(http, "numbered", points=2)
        assert merged["steps"] == [6, 8]
        assert merged["series"]["groups"] == [1, 1]
        assert merged["series"]["collapsed_share"] == [0, 0.5]


def test_a_prompt_is_followed_over_the_steps_that_it_comes_at(tmp_path: Path) -> None:
    """Of a step one group is kept, and that of a prompt that was kept once is kept again."""
    with (
        running(
            *(tmp_path / "log", "--model", "exact", "--history-url"),
            *(f"sqlite:///{tmp_path}/history.db", "--history-groups", "1"),
        ) as service,
        service.client() as http,
    ):
        for step in range(9):
            texts = ("a", "a", "b") if step < 5 else ("b", "b", "a")
            asked = [{**group(*texts, name=f"{step}-{i}"), "prompt": f"{i}?"} for i in range(9)]
            send(http, {"name": "epochs", "step": step}, *asked)
        until(lambda: steps_of(http, "epochs")["steps"] == list(range(9)))
        named = {"run": "epochs"}
        (prompt,) = http.get("/v1/history/prompts", params=named).json()["prompts"]
        assert (prompt["steps"], prompt["first_step"], prompt["last_step"]) == (9, 0, 8)
        for limit, steps in ((20, list(range(9))), (3, [0, 4, 8]), (1, [0])):
            params = {**named, "prompt": prompt["prompt_id"], "limit": limit}
            kept = http.get("/v1/history/groups", params=params).json()["groups"]
            assert [one["step"] for one in kept] == steps
            assert {one["prompt"] for one in kept} == {prompt["prompt"]}
        (one,) = http.get("/v1/history/groups", params={**params, "step": 6}).json()["groups"]
        assert [rollout["text"] for rollout in one["rollouts"]] == ["b", "b", "a"]
        other = {**named, "prompt": "0" * 16}
        assert http.get("/v1/history/groups", params=other).json() == {"groups": []}
        assert http.get("/v1/history/prompts", params={"run": "x"}).json() == {"prompts": []}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("steps", 422, "query.run"),
        ("steps?run=x&points=0", 422, "query.points"),
        ("steps?run=x&after=b", 422, "query.after"),
        ("steps?run=x&unknown=1", 422, "query.unknown"),
        ("steps?run=x", 404, "/v1/history/runs"),
        ("groups?run=x&limit=100000", 422, "query.limit"),
        ("groups?run=x&prompt=What", 422, "query.prompt"),
        ("prompts", 422, "query.run"),
        ("groups/none", 404, "/v1/history/groups"),
    ],
)
def test_what_is_wrong_with_a_question_is_named(
    recording: Service, path: str, status: int, words: str
) -> None:
    with recording.client() as http:
        answer = http.get(f"/v1/history/{path}")
        assert answer.status_code == status
        assert words in answer.json()["detail"]


def test_without_a_store_the_answer_says_how_to_keep_a_history(exact: Service) -> None:
    with exact.client() as http:
        for path in ("runs", "steps?run=a", "prompts?run=a", "groups?run=a", "groups/a"):
            answer = http.get(f"/v1/history/{path}")
            assert answer.status_code == 404
            assert "--history-url sqlite:///" in answer.json()["detail"]


def test_a_key_sees_its_own_runs_alone(tmp_path: Path) -> None:
    (alice, other, bob), lines = keys_of("alice", "alice", "bob")
    url = f"sqlite:///{tmp_path}/history.db"
    rollout = {**{"prompt": "p", "quality": 1.0, "run": "r"}, "deadline_s": 0.05, "group_size": 3}

    async def ask() -> None:
        async with client_of(api_keys=lines, history_url=url) as http:

            async def get(key: str, path: str) -> Any:
                answer = await http.get(f"/v1/history/{path}", headers=bearer(key))
                return answer.json()

            body = {"groups": [group("a", "b")], "run": {"name": "r", "step": 4}}
            assert (await http.post("/v1/rewards", json=body, headers=bearer(alice))).is_success
            # The timer that ends this cohort has no caller of its own.
            member = {**rollout, "group_id": 1, "text": "a"}
            await http.post("/v1/rollouts", json=member, headers=bearer(bob))
            await asyncio.sleep(2 * FLUSH_S)
            for key in (alice, other):
                assert (await get(key, "steps?run=r"))["steps"] == [4]
            columns = await get(bob, "steps?run=r")
            assert (columns["steps"], columns["series"]["partial_groups"]) == ([0], [1])
            (kept,) = (await get(alice, "groups?run=r"))["groups"]
            assert (await get(other, f"groups/{kept['id']}")) == kept
            assert (await get(bob, f"groups/{kept['id']}"))["status"] == 404
            (own,) = (await get(bob, "groups?run=r"))["groups"]
            assert own["group_id"] == 1
            labels = {"run": "bob/r"}
            metrics = (await http.get("/metrics", headers=bearer(bob))).text
            assert f'darling_run_partial_groups_total{{run="{labels["run"]}"}} 1.0' in metrics
            # The end of the service scores what waits; it is nobody's request either.
            waiting = asyncio.create_task(
                http.post(
                    "/v1/rollouts",
                    json={**member, "group_id": 2, "deadline_s": 60},
                    headers=bearer(bob),
                )
            )
            await asyncio.sleep(0.1)
        assert (await waiting).json()["group_complete"] is False

    asyncio.run(ask())
    kept = Store(url)
    assert [one["groups"] for one in reading.runs(kept, "bob")] == [2]
    assert reading.runs(kept, "") == []
    kept.close()


def test_a_group_that_is_scored_again_for_a_late_rollout_is_one_group(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    rollout = {"prompt": "p", "quality": 1.0, "run": "r", "group_id": 1, "group_size": 2}

    async def ask() -> None:
        async with client_of(history_url=url) as http:
            for member in range(2):
                body = {**rollout, "text": str(member), "member_id": member, "deadline_s": 0.05}
                assert (await http.post("/v1/rollouts", json=body)).is_success

    asyncio.run(ask())
    kept = Store(url)
    (run,) = reading.runs(kept, "")
    assert (run["groups"], run["steps"]) == (1, 1)
    kept.close()


def test_a_cohort_that_is_only_tried_out_counts_for_no_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    rollout = {"prompt": "p", "text": "t", "quality": 1.0, "run": "r", "group_size": 1}

    async def ask() -> None:
        async with client_of(history_url=url) as http:
            for group_id, more in enumerate(({"record": False}, {"record": True}, {})):
                body = {**rollout, "group_id": group_id, **more}
                assert (await http.post("/v1/rollouts", json=body)).is_success
            metrics = (await http.get("/metrics")).text
        assert 'darling_run_groups_total{run="r"} 2.0' in metrics

    asyncio.run(ask())
    kept = Store(url)
    assert [one["groups"] for one in reading.runs(kept, "")] == [2]
    kept.close()


def test_a_kill_loses_at_most_the_last_second(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    with (
        running(tmp_path / "log", "--model", "exact", "--history-url", url) as service,
        service.client() as http,
    ):
        for step in range(20):
            send(http, {"name": "killed", "step": step}, group("a", "b"))
        time.sleep(1)
        send(http, {"name": "killed", "step": 20}, group("a", "b"))
        service.process.kill()
        service.process.wait(30)
    kept = Store(url)
    kept.prepare()
    columns = reading.steps(kept, RunKey("", "killed"))
    assert columns is not None
    assert columns["steps"][:20] == list(range(20))
    assert columns["series"]["groups"] == [1] * len(columns["steps"])
    kept.close()


@pytest.mark.parametrize("when", ["before the start", "while it runs"])
def test_rewards_go_on_where_the_store_is_damaged(when: str, tmp_path: Path) -> None:
    """It is set aside with one line, and what comes then is in a new one."""
    file, log = tmp_path / "history.db", tmp_path / "log"
    garbage = b"this is no database" * 5000
    if when == "before the start":
        file.write_bytes(garbage)
    url = f"sqlite:///{file}"
    with (
        running(log, "--model", "exact", "--history-url", url) as service,
        service.client() as http,
    ):
        if when == "while it runs":
            send(http, {"name": "damaged", "step": 0}, group("a", "b"))
            until(lambda: steps_of(http, "damaged")["steps"] == [0])
            # A file that was copied over: what SQLite has written beside it goes with it.
            for written in tmp_path.glob("history.db*"):
                written.write_bytes(garbage)
        for step in range(1, 4):
            send(http, {"name": "damaged", "step": step}, group("a", "b"))
        until(lambda: steps_of(http, "damaged")["steps"] == [1, 2, 3])
        assert metric(service, 'darling_history_groups_total{outcome="dropped"}') == 0
        assert metric(service, "darling_unobserved_groups_total") == 0
    (line,) = [line for line in log.read_text().splitlines() if "is damaged" in line]
    asides = tmp_path.glob("history.db.damaged-*")
    (aside,) = [one for one in asides if not one.name.endswith(("-wal", "-shm"))]
    assert str(aside) in line
    assert aside.read_bytes()[: len(garbage)] == garbage


def test_on_a_full_disk_rewards_go_on_and_the_history_waits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    log = tmp_path / "log"
    with (
        running(log, "--model", "exact", "--history-url", url) as service,
        service.client() as http,
    ):
        fits, limit = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
        # No file may grow any more, but for the log, which is small.
        full = max(file.stat().st_size for file in tmp_path.iterdir())
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (full, limit))
        for step in range(10):
            send(http, {"name": "full", "step": step}, group("a", "b" * 100_000, name="g"))
        until(lambda: "cannot be written now" in log.read_text())
        time.sleep(3 * FLUSH_S)
        assert log.read_text().count("cannot be written now") == 1
        assert metric(service, 'darling_history_groups_total{outcome="dropped"}') == 0
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (fits, limit))
        until(lambda: "is written again" in log.read_text())
        assert steps_of(http, "full")["steps"] == list(range(10))
