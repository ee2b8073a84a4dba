"""What servers of a model refuse for good, for now, or for one input only."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from typing import Any

import pytest
from starlette.testclient import TestClient

from darling_models.errors import (
    InputRejected,
    ModelBusy,
    ModelError,
    ModelUnavailable,
    ServerRefused,
)
from darling_models.options import ModelOptions
from darling_models.protocol import all_pairs, classify
from darling_models.registry import load
from darling_models.remote import hosts
from darling_models.remote.hosts import Hosts
from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.settings import Settings
from tests.servers.scripted import Reply, Scripted, scripted

DEAD = "http://127.0.0.1:9"
FINE = Reply(body={"fine": True})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "PAUSE_S", 0.01)


def asked(*urls: str) -> Any:
    return Hosts(urls, 4).post("/ask", {}, lambda answer: answer["fine"])


STATUSES: dict[int, tuple[type[Exception], int]] = {
    **dict.fromkeys((400, 413, 422), (InputRejected, 1)),
    **dict.fromkeys((301, 307, 401, 402, 403, 404, 405, 410, 451), (ServerRefused, 1)),
    **dict.fromkeys((204, 408, 409, 425, 500, 502, 503, 504), (ModelUnavailable, 3)),
}
"""What a status comes to, and how often a single host is asked."""


@pytest.mark.parametrize("status", STATUSES)
def test_only_what_may_be_otherwise_is_asked_again(status: int) -> None:
    error, times = STATUSES[status]
    body = b"" if status == 204 else {"error": {"message": "max_tokens is not supported"}}
    with scripted(lambda _: Reply(status, body)) as server, pytest.raises(error) as raised:
        asked(server.url)
    assert len(server.seen) == times
    assert status == 204 or "max_tokens is not supported" in str(raised.value)


def test_a_host_that_refuses_for_good_does_not_take_the_others_with_it() -> None:
    with ExitStack() as stack:
        refusing = stack.enter_context(scripted(lambda _: Reply(404, "no such model")))
        good = stack.enter_context(scripted(lambda _: FINE))
        assert asked(refusing.url, good.url) is True
        with pytest.raises(ServerRefused, match="404"):
            asked(refusing.url, f"{refusing.url}/")
        with pytest.raises(ModelUnavailable, match="no host of the model could answer"):
            asked(refusing.url, DEAD)


DATE = "a date"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("40", 40.0),
        ("40.5", 40.5),
        (DATE, 100.0),
        (None, hosts.PAUSE_DEFAULT_S),
        ("soon", hosts.PAUSE_DEFAULT_S),
        ("", hosts.PAUSE_DEFAULT_S),
        ("nan", hosts.PAUSE_DEFAULT_S),
        ("inf", hosts.PAUSE_DEFAULT_S),
        ("1e9", hosts.MAX_PAUSE_S),
    ],
)
def test_a_pause_is_as_long_as_the_server_asks(header: str | None, seconds: float) -> None:
    if header == DATE:
        header = formatdate(time.time() + seconds, usegmt=True)
    headers = {} if header is None else {"retry-after": header}
    with scripted(lambda _: Reply(429, "slow down", headers)) as server:
        pool = Hosts([server.url], 4)
        for _ in range(3):
            with pytest.raises(ModelBusy) as busy:
                pool.post("/ask", {}, lambda answer: answer)
            assert busy.value.retry_after_s == pytest.approx(seconds, abs=3)
    assert len(server.seen) == 1, "nobody asks during a pause"


@pytest.mark.parametrize("header", ["0", "-3", "0.1"])
def test_a_short_pause_is_waited_for(header: str) -> None:
    replies = iter([Reply(429, "slow down", {"retry-after": header}), FINE])
    with scripted(lambda _: next(replies)) as server:
        assert asked(server.url) is True


def test_while_one_host_pauses_another_answers() -> None:
    with ExitStack() as stack:
        busy = stack.enter_context(scripted(lambda _: Reply(429, "", {"retry-after": "60"})))
        good = stack.enter_context(scripted(lambda _: FINE))
        pool = Hosts([busy.url, good.url], 4)
        assert all(pool.post("/ask", {}, lambda answer: answer["fine"]) for _ in range(5))
        assert len(busy.seen) <= 1
        with pytest.raises(ModelBusy):
            asked(busy.url, DEAD)


@pytest.mark.parametrize(
    "body",
    [b"[" * 1_000_000, b"{" * 1_000_000, b"", b"\xff\xfe", b'"\\ud800"', b"null", b"[]", b"{}"],
)
def test_an_unreadable_answer_is_asked_for_again_and_then_none(body: bytes) -> None:
    with scripted(lambda _: Reply(200, body)) as server, pytest.raises(ModelUnavailable):
        asked(server.url)
    assert len(server.seen) == 3


@pytest.mark.parametrize("url", ["http://[", "http://host:port", "http://host:99999999", "ftp://h"])
def test_what_is_no_url_is_refused(url: str) -> None:
    for name in (f"remote:{url}", f"judge:m@{url}"):
        with pytest.raises(ModelError, match="not a URL of a host"):
            load(name)


ROWS: dict[str, Any] = {
    "nan": [float("nan")],
    "null": [None],
    "text": ["0.5"],
    "true": [True],
    "above": [1.0001],
    "below": [-1e-9],
    "infinite": [float("inf")],
    "huge": [10**400],
    "none": [],
    "list": [[0.5]],
}


@pytest.mark.parametrize("row", ROWS)
def test_a_remote_answer_that_is_no_probability_is_none(row: str) -> None:
    answer = Reply(200, {"data": [{"index": 0, "probs": ROWS[row]}]})
    with scripted(lambda _: answer) as server, pytest.raises(ModelUnavailable):
        classify(load(f"remote:{server.url}"), "", ["a", "b"], all_pairs(2))


def classified(body: Any) -> Reply:
    """A remote that refuses texts with "long", and is busy when it reads "busy"."""
    texts = body["input"]
    if any("long" in text for text in texts):
        return Reply(400, {"error": "maximum context length is 512 tokens"})
    if any("busy" in text for text in texts):
        return Reply(429, "slow down", {"retry-after": "33"})
    return Reply(200, {"data": [{"index": i, "probs": [0.2]} for i in range(len(texts))]})


def judged(body: Any) -> Reply:
    """A judge like `classified`."""
    text = body["messages"][1]["content"]
    if "long" in text:
        return Reply(400, {"error": "maximum context length is 512 tokens"})
    if "busy" in text:
        return Reply(429, "slow down", {"retry-after": "33"})
    return Reply(200, {"choices": [{"message": {"content": '{"same": false}'}}]})


@contextmanager
def serving(server: Scripted, kind: str) -> Iterator[TestClient]:
    name = f"remote:{server.url}" if kind == "remote" else f"judge:m@{server.url}"
    verdict: Any = {} if kind == "remote" else {"judge_verdict": "json"}
    app = create_app(Service(Settings(model=name, max_batch_tokens=10_000, **verdict)))
    with TestClient(app, raise_server_exceptions=False) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.01)
        yield client


def sent(http: TestClient, *texts: str) -> Any:
    group = {"prompt": "p", "rollouts": list(texts), "quality": [1.0] * len(texts)}
    return http.post("/v1/rewards", json={"groups": [group]})


@pytest.mark.parametrize(("kind", "answer"), [("remote", classified), ("judge", judged)])
def test_a_text_that_the_server_refuses_is_a_422_with_its_words(
    kind: str, answer: Callable[[Any], Reply]
) -> None:
    with scripted(answer) as server, serving(server, kind) as http:
        refused = sent(http, "a long text", "b", "c")
        assert refused.status_code == 422
        assert "400: " in refused.json()["detail"]
        assert "maximum context length is 512 tokens" in refused.json()["detail"]
        assert server.url not in refused.text
        assert "retry-after" not in refused.headers
        assert http.get("/health/ready").status_code == 200
        before = len(server.seen)
        assert sent(http, "b", "c").status_code == 200
        assert len(server.seen) == before, "what was answered beside it is kept"
        rollout = {"run": "r", "group_id": "g", "prompt": "p", "quality": 1.0, "group_size": 1}
        assert http.post("/v1/rollouts", json={**rollout, "text": "long"}).status_code == 200


@pytest.mark.parametrize(("kind", "answer"), [("remote", classified), ("judge", judged)])
def test_a_busy_server_is_waited_for_and_stays_ready(
    kind: str, answer: Callable[[Any], Reply]
) -> None:
    with scripted(answer) as server, serving(server, kind) as http:
        busy = sent(http, "a busy text", "b")
        assert busy.status_code == 429
        assert 25 <= int(busy.headers["retry-after"]) <= 33
        asked_before = len(server.seen)
        assert http.get("/health/ready").status_code == 200
        assert sent(http, "a busy text", "b").status_code == 429
        assert len(server.seen) == asked_before, "nobody asks during the pause"


@pytest.mark.parametrize(
    ("status", "expected"), [(400, 422), (413, 422), (401, 424), (404, 424), (429, 429), (500, 503)]
)
def test_what_a_reward_server_refuses_is_passed_on(status: int, expected: int) -> None:
    answer = Reply(status, {"error": "its own words"}, {"retry-after": "33"})
    sent = {"query": ["p a"], "prompts": ["p"], "labels": ["x"]}
    with scripted(lambda _: answer) as server:
        app = create_app(Service(Settings(model="exact", quality=server.url)))
        with TestClient(app, raise_server_exceptions=False) as http:
            while http.get("/health/ready").status_code != 200:
                time.sleep(0.01)
            refused = http.post("/get_reward?n=1", json=sent)
    assert refused.status_code == expected
    assert ("retry-after" in refused.headers) == (expected in (429, 503))
    assert ("its own words" in refused.text) == (expected in (422, 424))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_this_service_is_a_424(status: int) -> None:
    replies: list[Reply] = []

    def answer(body: Any) -> Reply:
        return replies[0] if replies else judged(body)

    with scripted(answer) as server, serving(server, "judge") as http:
        replies.append(Reply(status, {"error": "invalid api key"}))
        refused = sent(http, "a", "b")
        assert refused.status_code == 424
        assert f"{status}: " in refused.json()["detail"]
        assert "invalid api key" in refused.json()["detail"]
        assert "retry-after" not in refused.headers
        assert http.get("/health/ready").status_code == 503
        replies.clear()
        assert http.get("/health/ready").status_code == 200


@pytest.mark.parametrize("words", ["Unsupported parameter: 'max_tokens'", "response_format"])
def test_a_start_that_the_server_refuses_ends_with_its_words(words: str) -> None:
    with scripted(lambda _: Reply(400, {"error": words})) as server:
        ended: list[ModelError] = []
        settings = Settings(model=f"judge:m@{server.url}", judge_verdict="json")
        with TestClient(create_app(Service(settings), ended.append)):
            while not ended:
                time.sleep(0.01)
    assert f"judge:m@{server.url}" in str(ended[0])
    assert words in str(ended[0])
    assert "judge_parameters" in str(ended[0])


PARAMETERS = '{"max_tokens": null, "max_completion_tokens": 4096, "response_format": null}'


def test_parameters_are_added_replaced_and_left_out() -> None:
    with scripted(judged) as server:
        plain = load(f"judge:m@{server.url}", ModelOptions(judge_verdict="json"))
        options = ModelOptions(judge_verdict="json", judge_parameters=PARAMETERS)
        changed = load(f"judge:m@{server.url}", options)
        for classifier in (plain, changed):
            classify(classifier, "", ["a", "b"], all_pairs(2))
    own, chosen = (set(body) for body in server.seen)
    assert own == {"model", "messages", "temperature", "max_tokens", "response_format"}
    assert chosen == {"model", "messages", "temperature", "max_completion_tokens"}
    assert server.seen[1]["max_completion_tokens"] == 4096
    assert plain.info.revision != changed.info.revision


@pytest.mark.parametrize("written", ["max_tokens", "[1]", "7", '{"model": "x"}', "[" * 100_000])
def test_parameters_that_are_none_are_refused(written: str) -> None:
    with pytest.raises(ModelError, match="judge_parameters"):
        load(f"judge:m@{DEAD}", ModelOptions(judge_parameters=written))


def test_a_key_with_a_line_break_is_sent_without_it_and_an_impossible_one_refused() -> None:
    load(f"judge:m@{DEAD}", ModelOptions(judge_api_key="secret\n"))
    for key in ("sécret", "two\nlines"):
        with pytest.raises(ModelError, match="judge_api_key") as refused:
            load(f"judge:m@{DEAD}", ModelOptions(judge_api_key=key))
        assert key not in str(refused.value)
