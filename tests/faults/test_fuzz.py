"""Thousands of mutated requests: every answer is a result or a problem, never a fault."""

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_service.http import examples
from darling_service.trainers import classify, nemo_gym, openrlhf, slime
from tests.conftest import running

REQUESTS = 2000
ROUTES = {
    "/v1/rewards": list(examples.REWARD_REQUESTS.values()),
    "/v1/partitions": list(examples.PARTITION_REQUESTS.values()),
    "/v1/preferences": list(examples.PREFERENCE_REQUESTS.values()),
    "/v1/equivalence": list(examples.EQUIVALENCE_REQUESTS.values()),
}
OPTIONS: list[dict[str, Any]] = [
    {"reward": {"objective": "additive", "normalize": "zscore"}},
    {"reward": {"diversity": "pairwise", "soft": True, "exponent": 0.3}},
    {"reward": {"among": "quality", "min_quality": 0.5, "diversity": "ngram"}},
    {"reward": {"negative": "shift_min", "advantage": "rloo"}},
    {"partition": {"linkage": "greedy", "threshold": 0.0}},
    {"partition": {"threshold": 1.0, "short_answer_rule": True}},
    {"model": "ngram"},
]
ATOMS: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 1e308, -1e30, 2**70, float("nan"), float("inf")),
    *("", "\x00", "x" * 5000, "🦄", "\u202e", "\ud800", "darling", "quality"),
    *([], {}, [[]], {"a": 1}, ["a"]),
]
FIELDS = ["x", "reward", "partition", "quality", "prompt", "id", "run", "model"]


DOORS = {
    "/v1/rollouts": {
        "run": {"name": "f", "step": 1},
        "group_id": "g",
        "attempt": 0,
        "member_id": 1,
        "group_size": 2,
        "prompt": [{"role": "user", "content": "p"}],
        "text": "t",
        "quality": 1,
        "reward": {"advantage": "centered"},
        "partition": {"threshold": 0.5},
    },
    "/get_reward?n=2": openrlhf.EXAMPLE,
    "/trainers/slime/rm?n=2": slime.EXAMPLE,
    "/trainers/nemo-gym/verify?n=2": nemo_gym.EXAMPLE,
    "/classify": classify.EXAMPLE,
}
"""Bodies of the routes that wait, and of trainers."""


def mutated(value: Any, source: random.Random) -> Any:
    """The value with parts of it replaced, dropped, doubled or added to."""
    if source.random() < 0.12:
        return source.choice(ATOMS)
    if isinstance(value, dict):
        kept = {k: mutated(v, source) for k, v in value.items() if source.random() > 0.05}
        if source.random() < 0.05:
            kept[source.choice(FIELDS)] = source.choice(ATOMS)
        return kept
    if isinstance(value, list):
        return [mutated(item, source) for item in value] * source.choice([1, 1, 1, 2])
    return value


def body(source: random.Random, route: str) -> bytes:
    request = copy.deepcopy(source.choice(ROUTES[route]))
    if route != "/v1/equivalence" and source.random() < 0.5:
        request |= source.choice(OPTIONS)
    if source.random() < 0.8:
        request = mutated(request, source)
    raw = bytearray(json.dumps(request).encode())
    if source.random() < 0.1:
        raw[source.randrange(len(raw))] = source.randrange(256)
    return bytes(raw)


@pytest.mark.slow
def test_no_request_is_a_fault(http: httpx.Client) -> None:
    source = random.Random(7)
    seen = set()
    for _ in range(REQUESTS):
        route = source.choice(list(ROUTES))
        raw = body(source, route)
        answer = http.post(route, content=raw)
        seen.add(answer.status_code)
        assert answer.status_code in (200, 400, 422), (raw, answer.text)
        if answer.status_code != 200:
            assert answer.json()["detail"], raw
            continue
        for group in answer.json().get("groups", []):
            numbers = [*group["diversity"], *group.get("rewards", [])]
            numbers += group.get("advantages") or []
            assert all(math.isfinite(number) for number in numbers), raw
    assert seen == {200, 400, 422}
    assert http.get("/health/ready").status_code == 200


@pytest.mark.slow
def test_no_request_to_the_cohort_endpoint_is_a_fault(tmp_path: Path) -> None:
    source = random.Random(11)
    seen = set()
    arguments = (
        "--model",
        "exact",
        "--cohort-deadline-s",
        "0.02",
        "--cohort-idle-timeout-s",
        "0.01",
    )
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        for _ in range(REQUESTS // 2):
            route, good = source.choice(list(DOORS.items()))
            raw = json.dumps(mutated(copy.deepcopy(good), source)).encode()
            answer = http.post(route, content=raw)
            seen.add(answer.status_code)
            assert answer.status_code in (200, 400, 409, 422), (route, raw, answer.text)
            assert answer.status_code == 200 or answer.json()["detail"], raw
        assert seen >= {200, 409, 422}
        assert "Traceback" not in service.log.read_text()
        assert "darling_waiting_rollouts 0.0" in http.get("/metrics").text
