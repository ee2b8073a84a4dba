"""The HTTP contract, through a real service on the embedded model."""

import re
from typing import Any

import httpx
import numpy as np
import pytest

from darling_models.runtime.kernels import Kernels
from darling_service.http import examples

GROUP = examples.GROUP
ROUTES = {
    "/v1/rewards": examples.REWARD_REQUESTS,
    "/v1/rollouts": examples.ROLLOUT_REQUESTS,
    "/v1/partitions": examples.PARTITION_REQUESTS,
    "/v1/preferences": examples.PREFERENCE_REQUESTS,
    "/v1/equivalence": examples.EQUIVALENCE_REQUESTS,
}


def ok(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def rewarded(http: httpx.Client, group: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = ok(http.post("/v1/rewards", json={"groups": [group], **options}))
    first: dict[str, Any] = answer["groups"][0]
    return first


@pytest.mark.processor
def test_two_ways_to_say_lisbon_are_one_class(http: httpx.Client) -> None:
    group = rewarded(http, GROUP)
    assert group["id"] == "capital-1"
    assert group["partition"] == [0, 0, 1]
    assert group["num_classes"] == 2
    assert group["diversity"] == [0.5, 0.5, 1.0]
    np.testing.assert_allclose(group["rewards"], [0.45, 0.4, 0.7])
    assert group["advantages"] is None


def test_the_answer_says_which_model_and_what_it_cost(http: httpx.Client) -> None:
    rollouts = ["Mars is red.", "Mars is red.", "Venus, the second planet.", "Jupiter"]
    group = {"prompt": "Name a planet.", "rollouts": rollouts, "quality": [1, 1, 1, 1]}
    answer = ok(http.post("/v1/rewards", json={"groups": [group]}))
    assert set(answer["model"]) == {"id", "revision", "threshold", "linkage", "text", "notion"}
    usage = answer["usage"]
    assert usage["pairs"] == 6
    assert usage["skipped"] == 3, "the identical pair, and the copy's pairs with the others"
    assert usage["classified"] + usage["cached"] == 3
    assert usage["tokens"] > 0
    assert usage["seconds"] > 0
    again = ok(http.post("/v1/rewards", json={"groups": [group]}))
    assert again["usage"]["cached"] == 3
    assert again["usage"]["tokens"] == 0
    assert again["groups"] == answer["groups"]


def test_advantages_on_request(http: httpx.Client) -> None:
    group = rewarded(http, GROUP, reward={"advantage": "centered"})
    np.testing.assert_allclose(sum(group["advantages"]), 0, atol=1e-12)
    np.testing.assert_allclose(
        group["advantages"], np.array(group["rewards"]) - np.mean(group["rewards"]), atol=1e-12
    )


@pytest.mark.processor
def test_partitions_with_probabilities(http: httpx.Client) -> None:
    body = {
        "groups": [{"prompt": "Name a colour.", "rollouts": ["Blue", "Blue", "Red"]}],
        "return_probabilities": True,
    }
    group = ok(http.post("/v1/partitions", json=body))["groups"][0]
    p = np.array(group["probabilities"])
    assert p.shape == (3, 3)
    np.testing.assert_array_equal(p, p.T)
    assert p[0, 1] == 1.0
    assert group["partition"][:2] == [0, 0]
    assert "quality" not in group


@pytest.mark.processor
def test_equivalence_is_symmetric(http: httpx.Client) -> None:
    a, b = "The capital of France is Paris.", "Paris."
    prompt = "What is the capital of France?"
    pairs = [{"prompt": prompt, "a": a, "b": b}, {"prompt": prompt, "a": b, "b": a}]
    first = ok(http.post("/v1/equivalence", json={"pairs": pairs[:1]}))["results"]
    second = ok(http.post("/v1/equivalence", json={"pairs": pairs[1:]}))["results"]
    assert first == second


def test_equivalence_of_identical_texts_without_a_prompt(http: httpx.Client) -> None:
    answer = ok(http.post("/v1/equivalence", json={"pairs": [{"a": "x", "b": "x"}]}))
    assert answer["results"] == [{"probability": 1.0, "equivalent": True}]


def test_operating_points_by_name(http: httpx.Client) -> None:
    known = ok(http.get("/v1/models"))["models"][0]["operating_points"]
    assert known["recall"] < known["balanced"] < known["precision"]
    for name, number in known.items():
        answer = ok(
            http.post("/v1/partitions", json={"groups": [GROUP], "partition": {"threshold": name}})
        )
        assert answer["model"]["threshold"] == number
    assert answer["model"]["threshold"] != known["balanced"]


def test_a_model_without_operating_points_says_so(http: httpx.Client) -> None:
    body = {"groups": [GROUP], "model": "exact", "partition": {"threshold": "precision"}}
    refused = http.post("/v1/rewards", json=body)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["loc"] == ["partition", "threshold"]
    assert "give a number" in error["msg"]


def test_equivalence_threshold(http: httpx.Client) -> None:
    pairs = [{"prompt": "Name a colour.", "a": "Blue, I think.", "b": "Red, surely."}]
    for threshold, said in ((0.0, True), (1.0, False)):
        answer = ok(http.post("/v1/equivalence", json={"pairs": pairs, "threshold": threshold}))
        assert answer["results"][0]["equivalent"] is said


@pytest.mark.processor
def test_many_pairs_under_one_prompt_agree_with_one_at_a_time(http: httpx.Client) -> None:
    pairs = [{"a": f"answer number {i}", "b": f"the {i}th answer"} for i in range(100)]
    together = ok(http.post("/v1/equivalence", json={"pairs": pairs}))["results"]
    alone = ok(http.post("/v1/equivalence", json={"pairs": pairs[41:42]}))["results"]
    assert together[41]["probability"] == pytest.approx(alone[0]["probability"], abs=1e-6)


def test_a_message_list_reads_like_the_plain_prompt(http: httpx.Client) -> None:
    messages = [{"role": "user", "content": GROUP["prompt"]}]
    assert rewarded(http, {**GROUP, "prompt": messages}) == rewarded(http, GROUP)


def test_quality_as_a_column_reads_like_numbers_in_the_rollouts(http: httpx.Client) -> None:
    texts = [r["text"] for r in GROUP["rollouts"]]
    column = {**GROUP, "rollouts": texts, "quality": [0.9, 0.8, 0.7]}
    assert rewarded(http, column) == rewarded(http, GROUP)


def test_correctness_and_reference_stand_in_for_quality(http: httpx.Client) -> None:
    correct = {
        "prompt": "6 * 7?",
        "rollouts": [{"text": "42", "correct": True}, {"text": "It is 41.", "correct": False}],
    }
    assert rewarded(http, correct)["quality"] == [1.0, 0.0]
    reference = {
        "prompt": "6 * 7?",
        "reference": "42",
        "rollouts": [{"text": "six sevens: 42", "answer": "42 "}, {"text": "41", "answer": "41"}],
    }
    assert rewarded(http, reference)["quality"] == [1.0, 0.0]


def test_among_correct_leaves_the_wrong_ones_their_quality(http: httpx.Client) -> None:
    group = {
        "prompt": "6 * 7?",
        "rollouts": [
            {"text": "Six times seven is 42.", "correct": True, "quality": 1},
            {"text": "It cannot be known.", "correct": False, "quality": -0.5},
        ],
    }
    answer = rewarded(http, group, reward={"among": "correct"})
    assert answer["diversity"] == [1.0, 0.0]
    assert answer["rewards"] == [1.0, -0.5]


def test_parity_reproduces_the_published_reward_code(http: httpx.Client) -> None:
    """Short-answer rule, single linkage, floor 0.1, raw product, worked by hand.

    By the rule "a b" ~ "a b c" (2 * 2 >= 3) and "a b c" ~ "b c" (2 * 2 >= 3), so single linkage
    joins all three, though "a b" and "b c" share 1 word of 2 (2 * 1 >= 2: also joined); "x y z"
    stands alone. d = (4 - 3) / 3 = 1/3 for the three and 1 for the last.
    """
    group = {"prompt": "p", "rollouts": ["a b", "a b c", "b c", "x y z"], "quality": [1, 2, -3, 4]}
    answer = rewarded(http, group, reward={"parity": "darling"})
    assert answer["partition"] == [0, 0, 0, 1]
    np.testing.assert_allclose(answer["diversity"], [1 / 3, 1 / 3, 1 / 3, 1])
    np.testing.assert_allclose(answer["rewards"], [1 / 3, 2 / 3, -1, 4])
    collapsed = {"prompt": "p", "rollouts": ["a", "a", "A"], "quality": [1, 1, 1]}
    assert rewarded(http, collapsed, reward={"parity": "darling"})["rewards"] == [0.1] * 3


@pytest.mark.parametrize("diversity", ["partition", "pairwise", "ngram", "unlikelihood"])
def test_every_diversity_is_answered(http: httpx.Client, diversity: str) -> None:
    group = {
        "prompt": "Name a fruit.",
        "rollouts": [
            {"text": "apple", "quality": 1, "logprob": -1.0},
            {"text": "apple", "quality": 1, "logprob": -1.0},
            {"text": "a ripe banana from Ecuador", "quality": 1, "logprob": -4.0},
        ],
    }
    answer = rewarded(http, group, reward={"diversity": diversity})
    assert answer["diversity"][0] == answer["diversity"][1] < answer["diversity"][2]


def test_soft_pairwise_diversity_is_one_minus_the_mean_probability(http: httpx.Client) -> None:
    answer = rewarded(
        http,
        GROUP,
        reward={"diversity": "pairwise", "soft": True},
        return_probabilities=True,
    )
    p = np.array(answer["probabilities"])
    np.testing.assert_allclose(answer["diversity"], (3 - p.sum(axis=1)) / 2)


def test_the_lexical_models_can_be_asked_for(http: httpx.Client) -> None:
    group = {"prompt": "", "rollouts": ["One  two", "one two", "three"], "quality": [1, 1, 1]}
    for model in ("exact", "ngram", "unigram"):
        answer = ok(http.post("/v1/rewards", json={"groups": [group], "model": model}))
        assert answer["model"]["id"] == model
        assert answer["groups"][0]["partition"] == [0, 0, 1]


def test_models_lists_the_default_first_and_the_limits(http: httpx.Client) -> None:
    answer = ok(http.get("/v1/models"))
    assert [model["id"] for model in answer["models"]] == ["embedded", "exact", "ngram", "unigram"]
    assert {"max_groups", "max_rollouts", "max_chars", "max_body_bytes"} <= set(answer["limits"])


def test_health_and_metrics(http: httpx.Client) -> None:
    assert ok(http.get("/health/live")) == {"status": "live"}
    assert ok(http.get("/health/ready")) == {"status": "ready"}
    rewarded(http, GROUP)
    text = http.get("/metrics").text
    assert re.search(r'darling_requests_total\{route="/v1/rewards",status="200"\} \d', text)
    assert re.search(r'darling_pairs_total\{outcome="classified"\} [1-9]', text)


@pytest.mark.processor
@pytest.mark.parametrize("route", ROUTES)
def test_the_documented_examples_answer_as_documented(http: httpx.Client, route: str) -> None:
    document = ok(http.get("/openapi.json"))
    operation = document["paths"][route]["post"]
    bodies = operation["requestBody"]["content"]["application/json"]["examples"]
    assert set(bodies) == set(ROUTES[route])
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    first = ok(http.post(route, json=next(iter(bodies.values()))["value"]))
    for answer in (shown, first):
        answer["usage"] = dict.fromkeys(answer.get("usage", []), 0)
        answer["model"].pop("revision")
    assert _said(first) == _promised(shown)
    for body in bodies.values():
        ok(http.post(route, json=body["value"]))


@pytest.mark.processor
def test_the_documented_models_are_those_of_the_service(http: httpx.Client) -> None:
    """But for the number format and the kernels, which the machine decides, and the revision that
    goes with them."""
    document = ok(http.get("/openapi.json"))
    operation = document["paths"]["/v1/models"]["get"]
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    found = ok(http.get("/v1/models"))
    found["models"] = found["models"][:1]
    for answer in (shown, found):
        (model,) = answer["models"]
        del model["revision"], model["kernels_reason"]
        assert Kernels.parse(model.pop("kernels"))
        model["description"] = model["description"].replace("bfloat16", "float32")
    assert _said(found) == _promised(shown)


def _said(value: Any) -> Any:
    """Without the nulls that the OpenAPI document leaves out."""
    if isinstance(value, dict):
        return {name: _said(item) for name, item in value.items() if item is not None}
    return [_said(item) for item in value] if isinstance(value, list) else value


def _promised(shown: Any, name: str = "") -> Any:
    """Equal to every answer that an example is true of.

    A probability's last bits, and in bfloat16 its third digit, are the processor's: two digits are
    shown, and a unit of the second is granted. Whatever else is computed from them is exact.
    """
    if isinstance(shown, dict):
        return {key: _promised(item, key) for key, item in shown.items() if item is not None}
    if isinstance(shown, list):
        return [_promised(item, name) for item in shown]
    if not isinstance(shown, float):
        return shown
    if name not in ("probability", "probabilities") or shown == 1:
        return pytest.approx(shown, abs=1e-12)
    assert shown == round(shown, 2), "no digit that some processor would write otherwise"
    return pytest.approx(shown, abs=0.01)
