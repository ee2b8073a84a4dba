"""Numbers beyond any range and values nested beyond any depth, in every option: 422, never 500."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.schemas.requests import PartitionOptions, RolloutRequest
from darling_service.schemas.reward_options import RewardOptions
from darling_service.settings import Settings

HOSTILE = {
    "10^400": "1" + "0" * 400,
    "-10^400": "-1" + "0" * 400,
    "10^5000": "1" + "0" * 5000,
    "10^30": "1" + "0" * 30,
    "2^63": str(2**63),
    "1e400": "1e400",
    "-1e400": "-1e400",
    "1e308": "1e308",
    "nan": "NaN",
    "infinity": "Infinity",
    "deep list": "[" * 3000,
    "deep list, closed": "[" * 3000 + "]" * 3000,
    "deep object": '{"a":' * 3000 + "1" + "}" * 3000,
}
"""Values as they stand in JSON, or in a URL."""
READ_BESIDE: dict[str, dict[str, Any]] = {
    "support": {"objective": "gapo"},
    "rank_weight": {"objective": "unlikeliness"},
    "weights": {"objective": "additive"},
    "seed": {"objective": "vector"},
    "k": {"advantage": "pass_at_k"},
    "positive_weight": {"advantage": "w_reinforce"},
    "uniqueness": {"advantage": "grpo"},
    "exploration_weight": {"advantage": "grpo", "exploration": "batch"},
    "min_quality": {"among": "quality"},
}
"""The choices beside which an option is read."""
ROLLOUT = {"text": "a", "quality": 1.0, "correct": True, "answer": "x", "logprob": -1.0}
OTHER = {"text": "b", "quality": 0.0, "correct": False, "answer": "y", "logprob": -2.0}
GROUP = {"prompt": "p", "rollouts": [ROLLOUT, OTHER]}
HERE = "@here@"


@pytest.fixture(scope="module")
def http() -> Iterator[TestClient]:
    app = create_app(Service(Settings(model="exact")))
    with TestClient(app, raise_server_exceptions=False) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.01)
        yield client


def answered(http: TestClient, path: str, body: Any, value: str) -> None:
    """Sends the body with the value where `HERE` stands: an answer, or what is wrong with it."""
    raw = json.dumps(body).replace(f'"{HERE}"', value)
    answer = http.post(path, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 422), (value[:20], answer.text[:200])
    if answer.status_code == 200:
        rewarded = answer.json().get("groups", [answer.json()])[0]
        assert None not in (rewarded.get("rewards") or [rewarded.get("reward", 0.0)])


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("option", RewardOptions.model_fields)
def test_options_of_rewards(http: TestClient, option: str, name: str) -> None:
    beside = READ_BESIDE.get(option, {})
    answered(
        http, "/v1/rewards", {"groups": [GROUP], "reward": {**beside, option: HERE}}, HOSTILE[name]
    )
    query = {**beside, "n": "1", option: HOSTILE[name]}
    sent = {"query": ["p a"], "prompts": ["p"], "labels": ["x"]}
    for path in ("/get_reward", "/trainers/slime/rm"):
        body = sent if path == "/get_reward" else {"prompt": "p", "response": "a", "label": "x"}
        assert http.post(path, params=query, json=body).status_code in (200, 422), path


@pytest.mark.parametrize("name", HOSTILE)
def test_other_numbers_of_requests(http: TestClient, name: str) -> None:
    value = HOSTILE[name]
    for field in ROLLOUT:
        group = {**GROUP, "rollouts": [{**ROLLOUT, field: HERE}, OTHER]}
        answered(http, "/v1/rewards", {"groups": [group]}, value)
    for option in PartitionOptions.model_fields:
        body = {"groups": [{"prompt": "p", "rollouts": ["a", "b"]}], "partition": {option: HERE}}
        answered(http, "/v1/partitions", body, value)
    answered(http, "/v1/rewards", {"groups": [GROUP], "run": {"name": "x", "step": HERE}}, value)
    answered(http, "/v1/preferences", {"groups": [GROUP], "share": HERE}, value)
    answered(http, "/v1/equivalence", {"pairs": [{"a": "x", "b": "y"}], "threshold": HERE}, value)
    for path in ("/v1/rewards", "/classify", "/get_reward?n=1", "/trainers/nemo-gym/verify?n=1"):
        answered(http, path, HERE, value)


@pytest.mark.parametrize("name", HOSTILE)
def test_fields_of_one_rollout(http: TestClient, name: str) -> None:
    whole = {"run": "r", "group_id": "g", "group_size": 1, "prompt": "p", **ROLLOUT}
    for field in RolloutRequest.model_fields:
        if field not in ("group_size", "deadline_s"):  # these may well make it wait
            answered(
                http,
                "/v1/rollouts",
                {**whole, "group_id": name + field, field: HERE},
                HOSTILE[name],
            )


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("parameter", ["n", "deadline_s", "idle_timeout_s", "threshold", "linkage"])
def test_parameters_of_urls(http: TestClient, parameter: str, name: str) -> None:
    sent = {"query": ["p a"], "prompts": ["p"], "labels": ["x"]}
    query = {"n": "1", "deadline_s": "0.05", parameter: HOSTILE[name]}
    assert http.post("/get_reward", params=query, json=sent).status_code in (200, 422)
