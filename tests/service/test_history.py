"""The history of runs, through the routes of a service that keeps one."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Service, running, until


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


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("steps", 422, "query.run"),
        ("steps?run=x&points=0", 422, "query.points"),
        ("steps?run=x&after=b", 422, "query.after"),
        ("steps?run=x&unknown=1", 422, "query.unknown"),
        ("steps?run=x", 404, "/v1/history/runs"),
        ("groups?run=x&limit=100000", 422, "query.limit"),
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
        for path in ("runs", "steps?run=a", "groups?run=a", "groups/a"):
            answer = http.get(f"/v1/history/{path}")
            assert answer.status_code == 404
            assert "--history-url sqlite:///" in answer.json()["detail"]
