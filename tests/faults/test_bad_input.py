"""Whatever a caller sends, the answer names the place and the cure, or is a sensible result."""

import gzip
import json
from typing import Any

import httpx
import pytest

from tests.conftest import Service

GOOD: dict[str, Any] = {"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 2]}


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert {"type", "title", "detail"} <= set(body)
    return body


def with_group(**changes: Any) -> dict[str, Any]:
    return {"groups": [{**GOOD, **changes}]}


INVALID: dict[str, tuple[dict[str, Any], list[Any], str]] = {
    "no groups": ({"groups": []}, ["groups"], "must not be empty"),
    "empty rollouts": (with_group(rollouts=[]), ["groups", 0, "rollouts"], "must not be empty"),
    "prompt missing": ({"groups": [{"rollouts": ["a"]}]}, ["groups", 0, "prompt"], "missing"),
    "too few qualities": (with_group(quality=[1]), ["groups", 0, "quality"], "1 values for 2"),
    "too many qualities": (with_group(quality=[1, 2, 3]), ["groups", 0, "quality"], "3 values"),
    "quality twice": (
        with_group(rollouts=[{"text": "a", "quality": 1}, "b"]),
        ["groups", 0, "quality"],
        "drop one",
    ),
    "quality in some rollouts only": (
        with_group(rollouts=[{"text": "a", "quality": 1}, "b"], quality=None),
        ["groups", 0, "rollouts", 1, "quality"],
        "missing",
    ),
    "no quality at all": (with_group(quality=None), ["groups", 0, "quality"], "needs quality"),
    "quality as text": (with_group(quality=["1", 2]), ["groups", 0, "quality", 0], "number"),
    "huge quality": (with_group(quality=[1e300, 2]), ["groups", 0, "quality", 0], "less than"),
    "an id beyond 64 bits": (
        with_group(id=2**70),
        ["groups", 0, "id"],
        "less than",
    ),
    "null rollout": (with_group(rollouts=["a", None]), ["groups", 0, "rollouts", 1], "object"),
    "rollout without text": (
        with_group(rollouts=["a", {"quality": 1}]),
        ["groups", 0, "rollouts", 1, "text"],
        "missing",
    ),
    "unknown field of a rollout": (
        with_group(rollouts=["a", {"text": "b", "qality": 1}]),
        ["groups", 0, "rollouts", 1, "qality"],
        "unknown field",
    ),
    "unknown field of the request": ({**with_group(), "x": 1}, ["x"], "unknown field"),
    "unknown objective": (
        {**with_group(), "reward": {"objective": "best"}},
        ["reward", "objective"],
        "choose one of darling, additive",
    ),
    "unknown model": ({**with_group(), "model": "gpt"}, ["model"], "embedded, exact"),
    "unknown linkage": (
        {**with_group(), "partition": {"linkage": "ward"}},
        ["partition", "linkage"],
        "choose one of single",
    ),
    "threshold of no known name": (
        {**with_group(), "partition": {"threshold": "strict"}},
        ["partition", "threshold"],
        "choose one of balanced, precision, recall",
    ),
    "threshold out of range": (
        {**with_group(), "partition": {"threshold": 1.5}},
        ["partition", "threshold"],
        "less than",
    ),
    "negative refused": (
        {**with_group(quality=[-1, 1]), "reward": {"negative": "refuse"}},
        ["groups", 0, "quality", 0],
        "negative",
    ),
    "normalize without additive": (
        {**with_group(), "reward": {"normalize": "zscore"}},
        ["reward"],
        "additive",
    ),
    "parity beside other options": (
        {**with_group(), "reward": {"parity": "darling", "floor": 0.2}},
        ["reward"],
        "drop floor",
    ),
    "parity beside a linkage": (
        {**with_group(), "reward": {"parity": "darling"}, "partition": {"linkage": "average"}},
        [],
        "drop partition.linkage",
    ),
    "among correct without verdicts": (
        {**with_group(), "reward": {"among": "correct"}},
        ["groups", 0, "rollouts"],
        "correct",
    ),
    "among quality without a threshold": (
        {**with_group(), "reward": {"among": "quality"}},
        ["reward"],
        "min_quality",
    ),
    "unlikelihood without logprobs": (
        {**with_group(), "reward": {"diversity": "unlikelihood"}},
        ["groups", 0, "rollouts", 0, "logprob"],
        "missing",
    ),
    "too many rollouts": (
        with_group(rollouts=["a"] * 513, quality=[1] * 513),
        ["groups", 0, "rollouts"],
        "max_rollouts = 512",
    ),
    "a rollout of a megabyte": (
        with_group(rollouts=["a", "x" * 2**20]),
        ["groups", 0, "rollouts", 1],
        "max_chars = 200000",
    ),
    "a prompt of a megabyte": (
        with_group(prompt="x" * 2**20),
        ["groups", 0, "prompt"],
        "max_chars",
    ),
    "too many groups": ({"groups": [GOOD] * 1025}, ["groups"], "max_groups = 1024"),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_fields_are_named_with_their_cure(http: httpx.Client, name: str) -> None:
    body, loc, cure = INVALID[name]
    answer = problem(http.post("/v1/rewards", json=body), 422)
    places = {tuple(error["loc"]): error["msg"] for error in answer["errors"]}
    assert tuple(loc) in places, places
    assert cure in places[tuple(loc)]
    assert answer["errors"][0]["msg"] in answer["detail"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite(http: httpx.Client, number: str) -> None:
    raw = json.dumps(with_group()).replace("[1, 2]", f"[1, {number}]")
    answer = problem(http.post("/v1/rewards", content=raw), 422)
    assert answer["errors"][0]["loc"] == ["groups", 0, "quality", 1]
    assert "finite" in answer["errors"][0]["msg"]


def test_a_lone_surrogate_is_named(http: httpx.Client) -> None:
    raw = json.dumps(with_group(rollouts=["fine", "not \ud800 fine"]))
    answer = problem(http.post("/v1/rewards", content=raw), 422)
    assert answer["errors"][0]["loc"] == ["groups", 0, "rollouts", 1]
    assert "surrogate" in answer["errors"][0]["msg"]


def test_all_errors_are_told_at_once(http: httpx.Client) -> None:
    body = {"groups": [{**GOOD, "quality": [1]}, GOOD, {**GOOD, "quality": [1, 2, 3]}]}
    answer = problem(http.post("/v1/rewards", json=body), 422)
    assert [error["loc"][1] for error in answer["errors"]] == [0, 2]


@pytest.mark.parametrize("raw", [b"", b"{", b'{"groups": [}', b"\xff\xfe"])
def test_malformed_json(http: httpx.Client, raw: bytes) -> None:
    answer = problem(http.post("/v1/rewards", content=raw), 400)
    assert "not valid JSON" in answer["detail"]


@pytest.mark.parametrize("raw", [b"null", b"[]", b"3", b'"text"'])
def test_json_of_the_wrong_kind(http: httpx.Client, raw: bytes) -> None:
    problem(http.post("/v1/rewards", content=raw), 422)


def test_wrong_content_type(http: httpx.Client) -> None:
    response = http.post("/v1/rewards", content=b"a=1", headers={"content-type": "text/plain"})
    assert "application/json" in problem(response, 415)["detail"]


def test_oversize_body_by_its_declared_and_by_its_real_length(http: httpx.Client) -> None:
    size = 65 * 2**20
    declared = http.post("/v1/rewards", content=b" " * size)
    assert "max_body_bytes" in problem(declared, 413)["detail"]
    chunked = http.post("/v1/rewards", content=(b" " * 2**20 for _ in range(65)))
    assert "max_body_bytes" in problem(chunked, 413)["detail"]


def test_unknown_route_and_method(http: httpx.Client) -> None:
    assert "/docs" in problem(http.get("/v2/rewards"), 404)["detail"]
    problem(http.get("/v1/rewards"), 405)
    assert len(http.get(f"/{'n' * 10_000}").content) < 500


def test_strange_but_legal_rollouts(http: httpx.Client) -> None:
    """Empty, blank, control characters, other scripts, one long word: a finite answer each."""
    rollouts = ["", "  \n\t", "\x00\x07\x1b[31m", "你好，世界", "🦄" * 50, "x" * 20_000, "ok"]
    body = {"groups": [{"prompt": "", "rollouts": rollouts, "quality": [1.0] * len(rollouts)}]}
    response = http.post("/v1/rewards", json=body)
    assert response.status_code == 200, response.text
    group = response.json()["groups"][0]
    assert len(group["partition"]) == len(rollouts)
    assert all(0 <= d <= 1 for d in group["diversity"])


def test_a_group_of_one_has_diversity_one(http: httpx.Client) -> None:
    body = {"groups": [{"prompt": "p", "rollouts": ["only"], "quality": [0.3]}]}
    group = http.post("/v1/rewards", json=body).json()["groups"][0]
    assert (group["partition"], group["diversity"], group["rewards"]) == ([0], [1.0], [0.3])


def test_bad_input_changes_nobody_elses_answer(service: Service) -> None:
    with service.client() as http:
        before = http.post("/v1/rewards", json={"groups": [GOOD]}).json()["groups"]
        for raw in (b"{", json.dumps(with_group(quality=[1])).encode(), b"\x00" * 1000):
            assert http.post("/v1/rewards", content=raw).status_code in (400, 422)
        assert http.post("/v1/rewards", json={"groups": [GOOD]}).json()["groups"] == before
        assert http.get("/health/ready").status_code == 200


def test_compressed_bodies(http: httpx.Client) -> None:
    body = json.dumps({"groups": [GOOD]}).encode()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    def post(content: bytes, **changed: str) -> httpx.Response:
        return http.post("/v1/rewards", content=content, headers={**headers, **changed})

    plain = http.post("/v1/rewards", json={"groups": [GOOD]}).json()
    assert post(gzip.compress(body)).json()["groups"] == plain["groups"]
    two_members = gzip.compress(body[:20]) + gzip.compress(body[20:])
    assert post(two_members).json()["groups"] == plain["groups"]
    for broken in (body, gzip.compress(body)[:-9], gzip.compress(body)[:12] + b"x" * 30, b""):
        assert post(broken).status_code == 400, broken
    assert "not gzip" in problem(post(body), 400)["detail"]
    unknown = problem(post(body, **{"content-encoding": "br"}), 415)
    assert "send gzip" in unknown["detail"]


def test_a_compressed_bomb_is_refused_by_what_comes_out(http: httpx.Client) -> None:
    bomb = gzip.compress(b" " * (65 * 2**20))
    assert len(bomb) < 2**17
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = http.post("/v1/rewards", content=bomb, headers=headers)
    assert "max_body_bytes" in problem(answer, 413)["detail"]
