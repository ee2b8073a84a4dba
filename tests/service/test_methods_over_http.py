"""Methods of 2025 and 2026 through the service: what they need, and what is refused beside them."""

from typing import Any

import httpx
import numpy as np
import pytest

from darling_service.schemas.reward_options import RewardOptions
from tests.faults.test_bad_input import problem
from tests.service.test_methods import set_advantages

TEXTS = ["Lisbon.", "Lisbon.", "Kyoto.", "No idea."]
ROLLOUTS = [
    {"text": text, "quality": quality, "correct": quality == 1, "logprob": logprob}
    for text, quality, logprob in zip(TEXTS, (1.0, 1.0, 1.0, 0.0), (-1, -2, -3, -4), strict=True)
]


def rewarded(http: httpx.Client, model: str = "embedded", **reward: Any) -> dict[str, Any]:
    group = {"prompt": "Name a city.", "rollouts": ROLLOUTS}
    answer = http.post("/v1/rewards", json={"groups": [group], "reward": reward, "model": model})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["groups"][0]
    return result


def test_over_http(http: httpx.Client) -> None:
    share = rewarded(http, diversity="share")
    assert share["partition"] == [0, 0, 1, 2]
    assert share["rewards"] == [0.5, 0.5, 1, 0]
    maxed = rewarded(http, diversity="share", advantage="maxrl")
    assert maxed["advantages"] == pytest.approx([0, 0, 1, -1])
    poly = rewarded(http, objective="quality", advantage="poly_epo", k=2)
    assert poly["rewards"] == [1, 1, 1, 0]
    assert poly["advantages"] == pytest.approx([0, 0, 1 / 6, -1 / 6])
    among = rewarded(http, objective="quality", advantage="poly_epo", k=2, among="correct")
    expected = set_advantages(np.asarray([1.0, 1, 1, 0]), [0, 0, 1, -1], 2)
    assert among["advantages"] == pytest.approx(expected)
    focal = rewarded(http, objective="quality", advantage="centered", focal=2)
    assert focal["advantages"] == pytest.approx([0.25 / 16] * 3 + [-0.75 / 16])
    smooth = rewarded(
        http,
        objective="quality",
        advantage="centered",
        exploration="smoothing",
        exploration_weight=0.1,
        wrong_ratio=0.5,
    )
    assert smooth["advantages"] == pytest.approx([0.35, 0.45, 0.55, -0.95])


def test_what_needs_vectors_over_http(http: httpx.Client) -> None:
    cut = rewarded(http, diversity="graph_cut")
    assert cut["rewards"][:3] == cut["diversity"][:3]
    assert max(cut["diversity"][:2]) < min(cut["diversity"][2:])
    reweighted = rewarded(http, objective="mmr")["rewards"]
    assert reweighted[0] == reweighted[1] < reweighted[2]
    assert sum(reweighted) == pytest.approx(3)
    added = rewarded(http, objective="quality", advantage="centered", exploration="set_diversity")
    bonus = np.asarray(added["advantages"]) - [0.25, 0.25, 0.25, -0.75]
    assert max(bonus[:2]) < min(bonus[2:])


@pytest.mark.parametrize(
    ("reward", "option"),
    [
        ({"diversity": "graph_cut"}, "diversity"),
        ({"objective": "mmr"}, "objective"),
        ({"advantage": "centered", "exploration": "set_diversity"}, "exploration"),
    ],
)
def test_a_model_without_vectors_is_refused(
    http: httpx.Client, reward: dict[str, Any], option: str
) -> None:
    body = {"groups": [{"prompt": "p", "rollouts": ROLLOUTS}], "reward": reward, "model": "exact"}
    answer = problem(http.post("/v1/rewards", json=body), 422)
    assert answer["errors"][0]["loc"] == ["reward", option]
    assert "compares embeddings of texts, and exact has none" in answer["errors"][0]["msg"]


def test_preferences_name_their_own_field(http: httpx.Client) -> None:
    group = {"prompt": "Name a city.", "rollouts": ROLLOUTS}
    body = {"groups": [group], "diversity": "graph_cut"}
    answer = problem(http.post("/v1/preferences", json={**body, "model": "exact"}), 422)
    assert answer["errors"][0]["loc"] == ["diversity"]
    answer = http.post("/v1/preferences", json=body).json()["groups"][0]
    assert (answer["chosen"], answer["rejected"]) == (2, 3)
    assert len(answer["diversity"]) == 4


@pytest.mark.parametrize(
    ("reward", "words"),
    [
        ({"advantage": "poly_epo"}, "needs k"),
        ({"focal": 1.0}, "focal changes advantages; set advantage"),
        ({"objective": "additive", "advantage": "maxrl"}, "belongs to objective = 'darling'"),
        ({"objective": "gapo", "support": 2, "advantage": "maxrl"}, "belongs to objective"),
        ({"advantage": "centered", "wrong_ratio": 0.5}, "wrong_ratio belongs to exploration"),
        ({"objective": "mmr", "diversity": "share"}, None),
        ({"objective": "mmr", "floor": 0.1}, "floor belongs to objective"),
        ({"objective": "quality", "advantage": "centered", "among": "correct"}, "poly_epo"),
    ],
)
def test_options_that_mean_nothing(reward: dict[str, Any], words: str | None) -> None:
    if words is None:
        RewardOptions.model_validate(reward)
        return
    with pytest.raises(ValueError, match=words):
        RewardOptions.model_validate(reward)


def test_maxrl_refuses_negative_quality(http: httpx.Client) -> None:
    for in_column in (True, False):
        rollouts = [{"text": text} for text in TEXTS[1:3]]
        group: dict[str, Any] = {"prompt": "p", "rollouts": rollouts, "quality": [1.0, -0.5]}
        if not in_column:
            quality = group.pop("quality")
            group["rollouts"] = [
                own | {"quality": q} for own, q in zip(rollouts, quality, strict=True)
            ]
        reward = {"objective": "quality", "advantage": "maxrl"}
        body = {"groups": [group], "reward": reward, "model": "exact"}
        error = problem(http.post("/v1/rewards", json=body), 422)["errors"][0]
        own_place = ["quality", 1] if in_column else ["rollouts", 1, "quality"]
        assert error["loc"] == ["groups", 0, *own_place]
        assert "-0.5 is negative and advantage = 'maxrl' divides by the mean" in error["msg"]
        shifted = {"negative": "shift_min", "advantage": "maxrl"}
        answer = http.post("/v1/rewards", json={**body, "reward": shifted})
        assert answer.json()["groups"][0]["advantages"] == pytest.approx([1, -1])
