"""The review of pairs over HTTP: which are offered, what a mark does, and what is exported."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_models.labelled_data import read_pairs
from darling_service.history.recorded import MAX_MATRIX_TEXTS
from darling_service.keys import digest_of
from tests.conftest import Service, running, until
from tests.servers.processes import serving

KEYS = "".join(f"{name} sha256:{digest_of(name.encode())}\n" for name in ("alice", "bob"))
TEXTS = ["the red cat sat", "the red cat ran", "the red dog ran", "one two", "the red cat sat"]


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose probabilities are shares of words, with a history and two callers."""
    folder = tmp_path_factory.mktemp("review")
    words = ("--model", "unigram", "--history-url", f"sqlite:///{folder / 'history.db'}")
    with running(folder / "log", *words, environment={"DARLING_API_KEYS": KEYS}) as service:
        yield service


@pytest.fixture
def alice(reviewed: Service) -> Iterator[httpx.Client]:
    with reviewed.client() as http:
        http.headers["authorization"] = "Bearer alice"
        yield http


@pytest.fixture
def bob(reviewed: Service) -> Iterator[httpx.Client]:
    with reviewed.client() as http:
        http.headers["authorization"] = "Bearer bob"
        yield http


def record(http: httpx.Client, run: str, prompt: str, texts: list[str], **partition: Any) -> None:
    """Has a group scored, and waits until it is recorded."""
    group = {"prompt": prompt, "rollouts": texts}
    body = {
        "groups": [group],
        "run": {"name": run, "step": 7},
        "partition": partition,
        "return_probabilities": True,
    }
    http.post("/v1/partitions", json=body).raise_for_status()
    until(lambda: any(one["run"] == run for one in runs(http)))


def runs(http: httpx.Client) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = http.get("/v1/history/runs").json()["runs"]
    return listed


def offered(http: httpx.Client, run: str, **query: Any) -> list[dict[str, Any]]:
    answer = http.get("/v1/review/pairs", params={"run": run, **query})
    assert answer.status_code == 200, answer.text
    pairs: list[dict[str, Any]] = answer.json()["pairs"]
    return pairs


def marked(http: httpx.Client, pair: str, same: bool | None) -> dict[str, Any]:
    answer = http.post("/v1/review/marks", json={"pair": pair, "same": same})
    assert answer.status_code == 200, answer.text
    progress: dict[str, Any] = answer.json()["progress"]
    return progress


def test_pairs_nearest_the_threshold_come_first(alice: httpx.Client) -> None:
    record(alice, "near", "Near.", TEXTS)
    pairs = offered(alice, "near")
    distances = [abs(pair["probability"] - pair["threshold"]) for pair in pairs]
    assert distances == sorted(distances)
    assert {pair["prompt"] for pair in pairs} == {"Near."}
    assert len(pairs) == 5, "at most five of one group"
    seen = [frozenset((pair["a"], pair["b"])) for pair in pairs]
    assert len(set(seen)) == len(seen), "a text that stands twice makes its pairs once"
    assert all(pair["a"] != pair["b"] for pair in pairs)
    assert offered(alice, "near", limit=2) == pairs[:2]


def test_pairs_on_which_a_second_model_disagrees_come_first(alice: httpx.Client) -> None:
    record(alice, "second", "Second.", TEXTS)
    pairs = offered(alice, "second", against="exact")
    disagreeing = [pair["other"]["disagrees"] for pair in pairs]
    assert disagreeing == sorted(disagreeing, reverse=True)
    assert any(disagreeing)
    for pair in pairs:
        assert pair["other"]["model"] == "exact"
        assert pair["other"]["disagrees"] == (pair["probability"] > pair["threshold"])


def test_a_mark_takes_the_pair_off_the_list_and_is_exported(
    alice: httpx.Client, tmp_path: Path
) -> None:
    record(alice, "marked", "Marked.", TEXTS)
    first, second, third, *_ = offered(alice, "marked")
    before = marked(alice, first["id"], True)
    assert marked(alice, second["id"], False)["different"] == before["different"] + 1
    assert marked(alice, third["id"], None)["unsure"] == before["unsure"] + 1
    left = {pair["id"] for pair in offered(alice, "marked")}
    assert not left & {first["id"], second["id"], third["id"]}
    changed = marked(alice, second["id"], True)
    assert changed["same"] == before["same"] + 1, "the last mark of a pair counts"
    assert changed["different"] == before["different"]
    export = alice.get("/v1/review/marks", params={"run": "marked"})
    assert export.headers["content-type"] == "application/jsonl"
    (path := tmp_path / "marks.jsonl").write_bytes(export.content)
    labels = read_pairs(path)
    assert {(p.prompt, frozenset((p.a, p.b)), p.similar, p.labeler) for p in labels} == {
        ("Marked.", frozenset((pair["a"], pair["b"])), True, "alice") for pair in (first, second)
    }
    assert len(alice.get("/v1/review/marks").text.splitlines()) >= 2


def test_a_pair_that_comes_up_again_is_not_asked_again(alice: httpx.Client) -> None:
    record(alice, "again", "Again.", ["a b", "b c"])
    (pair,) = offered(alice, "again")
    marked(alice, pair["id"], False)
    record(alice, "again-2", "Again.", ["b c", "a b"])
    assert offered(alice, "again-2") == []


def test_a_caller_sees_and_marks_only_its_own_runs(alice: httpx.Client, bob: httpx.Client) -> None:
    record(alice, "own", "Own.", ["a b", "b c"])
    (pair,) = offered(alice, "own")
    assert offered(bob, "own") == []
    refused = bob.post("/v1/review/marks", json={"pair": pair["id"], "same": True})
    assert refused.status_code == 404
    marked(alice, pair["id"], True)
    assert bob.get("/v1/review/marks").text == ""


def test_a_group_without_probabilities_offers_no_pairs(alice: httpx.Client) -> None:
    """The history keeps no matrix of so many texts."""
    record(alice, "large", "Large.", [f"word{k}" for k in range(MAX_MATRIX_TEXTS + 1)])
    assert offered(alice, "large") == []


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"pair": "nonsense", "same": True}, 404, "the history holds no such pair"),
        ({"pair": f"{'0' * 32}-0-1", "same": True}, 404, "the history holds no such pair"),
        ({"pair": "x"}, 422, "same: missing; add it"),
        ({"pair": "x", "same": "yes"}, 422, "same: "),
        ({"pair": "x", "same": 0.5}, 422, "same: "),
        ({"same": True}, 422, "pair: missing; add it"),
    ],
)
def test_a_mark_that_cannot_be_kept_is_refused(
    alice: httpx.Client, body: dict[str, Any], status: int, message: str
) -> None:
    answer = alice.post("/v1/review/marks", json=body)
    assert answer.status_code == status
    assert message in answer.json()["detail"]


@pytest.mark.parametrize("suffix", ["0-0", "1-0", "0-9", "0-99999"])
def test_a_pair_is_of_two_rollouts_of_its_group(alice: httpx.Client, suffix: str) -> None:
    record(alice, "two", "Two.", ["a b", "b c"])
    (group,) = alice.get("/v1/history/groups", params={"run": "two"}).json()["groups"]
    answer = alice.post("/v1/review/marks", json={"pair": f"{group['id']}-{suffix}", "same": True})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "run: missing; add it"),
        ({"run": "near", "limit": 0}, "limit: "),
        ({"run": "near", "limit": 101}, "limit: "),
        ({"run": "near", "from": 1}, "from: unknown field"),
        ({"run": "second", "against": "nobody"}, "there is no model 'nobody'; choose one of"),
    ],
)
def test_a_wrong_query_is_refused_by_name(
    alice: httpx.Client, query: dict[str, Any], message: str
) -> None:
    record(alice, "second", "Wrong.", ["a b", "b c"])
    answer = alice.get("/v1/review/pairs", params=query)
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_without_a_history_the_review_says_how_to_keep_one(exact: Service) -> None:
    with exact.client() as http:
        for answer in (
            http.get("/v1/review/pairs", params={"run": "r"}),
            http.get("/v1/review/marks"),
            http.post("/v1/review/marks", json={"pair": "x", "same": True}),
        ):
            assert answer.status_code == 404
            assert "--history-url" in answer.json()["detail"]


SAME_LENGTH = "Two texts are the same if they are as long as each other."
SAME_RHYME = "Two texts are the same if they rhyme."
QUESTIONS: dict[str, dict[str, str | None]] = {
    "approaches": {"notion": "approach", "criterion": None},
    "lengths": {"notion": None, "criterion": SAME_LENGTH},
    "rhymes": {"notion": None, "criterion": SAME_RHYME},
}
"""What a run is judged by; the last is the criterion of the settings, in place of their notion."""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with an LLM judge, which can be asked anything, and a history."""
    folder = tmp_path_factory.mktemp("judged")
    url = f"sqlite:///{folder / 'history.db'}"
    with (
        serving("tests.servers.chat") as server,
        running(
            *(folder / "log", "--model", f"judge:referee@{server.url}/v1", "--history-url", url),
            *("--judge-criterion", SAME_RHYME, "--notion", "answer"),
        ) as service,
        service.client() as http,
    ):
        yield http


def test_a_mark_says_what_was_asked_of_its_pair(judged: httpx.Client, tmp_path: Path) -> None:
    """A pair of one prompt and the same texts is another pair by another question."""
    judge = judged.get("/v1/models").json()["models"][0]["id"]
    for run, question in QUESTIONS.items():
        own = {} if run == "rhymes" else {key: said for key, said in question.items() if said}
        record(judged, run, "Name a fruit.", ["apple", "grape"], **own)
        (group,) = judged.get("/v1/history/groups", params={"run": run}).json()["groups"]
        assert {name: group[name] for name in question} == question
        (pair,) = offered(judged, run)
        assert {name: pair[name] for name in question} == question
        (same,) = offered(judged, run, against=judge)
        own_probability = pytest.approx(pair["probability"])
        assert same["other"]["probability"] == own_probability, "asked the same question"
        assert offered(judged, run, against="unigram")[0]["other"]["model"] == "unigram"
        progress = marked(judged, pair["id"], True)
        assert {name: progress[name] for name in question} == question
        assert (progress["same"], progress["prompts_same"]) == (1, 1), "other questions' apart"
        assert offered(judged, run) == []
    every = judged.get("/v1/review/marks").text.splitlines()
    assert len(every) == len(QUESTIONS)
    for question in QUESTIONS.values():
        wanted = {name: said for name, said in question.items() if said is not None}
        (line,) = judged.get("/v1/review/marks", params=wanted).text.splitlines()
        assert question.items() <= json.loads(line).items()
    file = tmp_path / "marks.jsonl"
    file.write_text(judged.get("/v1/review/marks", params={"criterion": SAME_RHYME}).text)
    assert len(read_pairs(file)) == 1


def test_a_group_of_a_model_without_notions_is_judged_by_its_answers(judged: httpx.Client) -> None:
    body = {"groups": [{"prompt": "p", "rollouts": ["a b", "b c"]}], "model": "unigram"}
    judged.post("/v1/partitions", json={**body, "run": {"name": "words"}}).raise_for_status()
    until(lambda: any(one["run"] == "words" for one in runs(judged)))
    (group,) = judged.get("/v1/history/groups", params={"run": "words"}).json()["groups"]
    assert (group["notion"], group["criterion"]) == (None, None)
    (pair,) = offered(judged, "words")
    assert (pair["notion"], pair["criterion"]) == ("answer", None)


def test_marks_are_asked_for_by_one_question(alice: httpx.Client) -> None:
    both = alice.get("/v1/review/marks", params={"notion": "answer", "criterion": SAME_LENGTH})
    assert both.status_code == 422
    assert "criterion takes the place of notion" in both.json()["detail"]
    unknown = alice.get("/v1/review/marks", params={"notion": "style"})
    assert unknown.status_code == 422
    assert unknown.json()["detail"].startswith("query.notion: ")
