"""A server behind the service repeats what it was sent: its words go to the caller, not the log."""

import json
import logging
from typing import Any

import pytest
from fastapi.testclient import TestClient

from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.settings import Settings
from tests.conftest import until
from tests.servers.scripted import Reply, scripted

CANARY = "xyzzy-plugh"
LEVELS = (1, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
"""Every level of Python, and uvicorn's below them."""

FORMS: dict[str, Reply] = {
    "400": Reply(400, f"the input {CANARY} is too long"),
    "401": Reply(401, f"no key came with {CANARY}"),
    "404": Reply(404, f"there is no model for {CANARY}"),
    "422": Reply(422, {"detail": [{"input": CANARY}]}),
    "429": Reply(429, f"too many like {CANARY}", {"Retry-After": "60"}),
    "500": Reply(500, f"failed on {CANARY}"),
    "503": Reply(503, f"failed on {CANARY}"),
    "a number as text": Reply(
        200, {"data": [{"index": 0, "probs": [CANARY]}], "rewards": CANARY, "choices": CANARY}
    ),
    "a verdict in words": Reply(
        200, {"choices": [{"message": {"content": f"I cannot judge {CANARY}"}}]}
    ),
    "no JSON": Reply(200, f"<html>{CANARY}</html>".encode()),
    "another shape": Reply(200, {CANARY: [CANARY]}),
}
"""Answers in which a server repeats a text."""
KINDS = ("remote", "judge", "quality")


def settings(kind: str, url: str) -> dict[str, Any]:
    if kind == "quality":
        return {"model": "exact", "quality": f"{url}/get_reward"}
    verdict = {"judge_verdict": "json"} if kind == "judge" else {}
    return {"model": f"remote:{url}" if kind == "remote" else f"judge:m@{url}", **verdict}


def ask(http: TestClient, kind: str) -> Any:
    text = f"Oslo {CANARY}"
    if kind == "quality":
        body: Any = {"query": [f"p{text}"], "prompts": ["p"], "labels": [CANARY]}
        return http.post("/get_reward?n=1", json=body)
    group = {"prompt": CANARY, "rollouts": [text, f"{text}!"], "quality": [1, 1]}
    return http.post("/v1/rewards", json={"groups": [group]})


def await_ready(http: TestClient) -> None:
    until(lambda: http.get("/health/ready").status_code == 200)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_no_log_repeats_what_a_server_says(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darling_models.remote.hosts.PAUSE_S", 0.001)
    monkeypatch.setattr("darling_models.remote.hosts.REST_S", 0.0)
    now = Reply(200)
    statuses = set()

    def answer(body: Any) -> Reply:
        return now if CANARY in json.dumps(body) else FIRST[kind]

    for form in FORMS.values():
        with scripted(answer) as server:
            parts = Service(Settings(**settings(kind, server.url)))
            with TestClient(create_app(parts)) as http:
                await_ready(http)
                now = form
                for level in LEVELS:
                    with caplog.at_level(level):
                        statuses.add(ask(http, kind).status_code)
            assert any(CANARY in json.dumps(body) for body in server.seen)
    assert CANARY not in caplog.text
    assert statuses == {422, 424, 429, 503}


FIRST = {
    "remote": Reply(200, {"data": [{"index": 0, "probs": [0.5, 0.5]}]}),
    "judge": Reply(200, {"choices": [{"message": {"content": '{"same": true}'}}]}),
    "quality": Reply(200, {"rewards": [1.0]}),
}
"""Right answers of each kind of server, by which the service becomes ready."""
