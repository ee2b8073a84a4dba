"""`among`: the members are compared as if the other rollouts were not there."""

import random
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import running
from tests.models.test_cross_encoder import WORDS, bert

PROMPT = "Say some letters."
BRIDGE = ["a b c d e f g h", "e f g h i j k l", "c d e f g h i j"]
"""Two right answers, and a wrong one that single linkage would take for both."""
LINKAGES = ("single", "average", "complete", "greedy")
PARTITIONED: dict[str, dict[str, Any]] = {
    "partition": {},
    "additive": {"objective": "additive", "normalize": "zscore"},
    "diversity alone": {"objective": "diversity"},
    "pairwise": {"diversity": "pairwise"},
    "soft": {"diversity": "pairwise", "soft": True},
    "ngram": {"diversity": "ngram"},
    "unlikelihood": {"diversity": "unlikelihood"},
    "shaped": {"floor": 0.1, "exponent": 2.0},
}
"""Rewards into which diversity enters."""


def post(http: httpx.Client, group: dict[str, Any], model: str = "unigram", **more: Any) -> Any:
    answer = http.post("/v1/rewards", json={"groups": [group], "model": model, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["groups"][0]


def said(how: str, texts: list[str], right: list[bool]) -> dict[str, Any]:
    """A group that says which rollouts are right, and each one's log-probability."""
    rollouts: list[dict[str, Any]] = [
        {"text": text, "logprob": -1.0 - k} for k, text in enumerate(texts)
    ]
    group: dict[str, Any] = {"prompt": PROMPT, "rollouts": rollouts}
    for rollout, ok in zip(rollouts, right, strict=True):
        match how:
            case "correct":
                rollout["correct"] = ok
            case "reference":
                rollout["answer"] = "42" if ok else None
            case "quality":
                rollout["quality"] = float(ok)
    if how == "reference":
        group["reference"] = "42"
    return group


@pytest.mark.parametrize("how", ["correct", "reference", "quality"])
@pytest.mark.parametrize("linkage", LINKAGES)
def test_a_wrong_rollout_does_not_merge_two_right_ones(
    http: httpx.Client, how: str, linkage: str
) -> None:
    for order in ([0, 1, 2], [2, 0, 1], [0, 2, 1]):
        right = [k != 2 for k in order]
        group = said(how, [BRIDGE[k] for k in order], right)
        answer = post(
            http,
            group,
            reward={"among": "correct"},
            partition={"linkage": linkage, "threshold": 0.55},
        )
        assert answer["diversity"] == answer["rewards"] == [float(ok) for ok in right]
        if linkage == "single":
            assert answer["partition"] == [0, 0, 0], "the partition is that of the whole group"
            assert answer["num_classes"] == 1


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("reward", PARTITIONED.values(), ids=PARTITIONED)
def test_members_are_rewarded_as_a_group_of_their_own(
    http: httpx.Client, reward: dict[str, Any], linkage: str
) -> None:
    """Random groups with copies; letters make chains of likeness."""
    source = random.Random(f"{linkage} {reward}")
    for size in (2, 5, 8, 8):
        texts = [" ".join(source.sample("abcdefgh", source.randrange(2, 6))) for _ in range(size)]
        right = [source.random() < 0.6 for _ in texts]
        partition = {"linkage": linkage, "threshold": source.choice([0.2, 0.4, 0.55])}
        whole = said("correct", texts, right)
        members = [rollout for rollout, ok in zip(whole["rollouts"], right, strict=True) if ok]
        found = post(http, whole, reward=reward | {"among": "correct"}, partition=partition)
        plain = post(http, whole, partition=partition)
        for name in ("partition", "num_classes"):
            assert found[name] == plain[name]
        inside = [value for value, ok in zip(found["diversity"], right, strict=True) if ok]
        outside = [value for value, ok in zip(found["diversity"], right, strict=True) if not ok]
        assert outside == [0.0] * len(outside)
        if members:
            alone = post(http, whole | {"rollouts": members}, reward=reward, partition=partition)
            assert inside == alone["diversity"]


def test_min_quality_chooses_members_likewise(http: httpx.Client) -> None:
    group = {"prompt": PROMPT, "rollouts": BRIDGE, "quality": [0.9, 0.8, 0.7]}
    reward = {"among": "quality", "min_quality": 0.8}
    partition = {"linkage": "single", "threshold": 0.55}
    answer = post(http, group, reward=reward, partition=partition)
    assert (answer["diversity"], answer["rewards"]) == ([1, 1, 0], [0.9, 0.8, 0.7])


def test_a_trainer_whose_labels_give_quality_may_say_among_correct(http: httpx.Client) -> None:
    """Quality of 0 and 1 is a verdict, also where it comes from a label."""
    texts = [f"{text} The answer is {'41' if k == 2 else '42'}" for k, text in enumerate(BRIDGE)]
    query = "among=correct&quality=label-match&model=unigram&linkage=single&threshold=0.5"
    body = {"query": texts, "prompts": [""] * 3, "labels": ["42"] * 3}
    answer = http.post(f"/get_reward?{query}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["extra_logs"]["num_classes"] == [1, 1, 1]
    assert answer.json()["rewards"] == [1, 1, 0]
    assert answer.json()["extra_logs"]["diversity"] == [1, 1, 0]


def test_gapo_counts_classes_of_the_correct_rollouts_alone(http: httpx.Client) -> None:
    """Two right ways of four: 1 - (1/2 - 1/4) each. Connected by the wrong one: 1 - (1 - 1/4)."""
    group = said("correct", [*BRIDGE, BRIDGE[0]], [True, True, False, True])
    reward = {"objective": "gapo", "outcome": "class", "support": 4}
    partition = {"linkage": "single", "threshold": 0.55}
    answer = post(http, group, reward=reward, partition=partition)
    assert answer["partition"] == [0, 0, 0, 0]
    assert answer["rewards"] == pytest.approx([1 - (2 / 3 - 1 / 4), 1 - (1 / 3 - 1 / 4), -1,
                                               1 - (2 / 3 - 1 / 4)])  # fmt: skip


@pytest.mark.parametrize("objective", ["quality", "darling"])
def test_uniqueness_counts_members_alone(http: httpx.Client, objective: str) -> None:
    """The two right ones are unique among themselves; the wrong one's advantage is not scaled."""
    group = said("correct", BRIDGE, [True, True, False])
    partition = {"linkage": "single", "threshold": 0.55}
    reward = {"objective": objective, "advantage": "centered", "uniqueness": 1.0}
    among = post(http, group, reward=reward | {"among": "correct"}, partition=partition)
    assert among["advantages"] == pytest.approx([1 / 3, 1 / 3, -2 / 3])
    published = reward | {"among": "correct", "uniqueness_of": "all"}
    among = post(http, group, reward=published, partition=partition)
    assert among["advantages"] == pytest.approx([1 / 3, 1 / 3, -2 / 3])
    if objective == "quality":
        everyone = post(http, group, reward=reward, partition=partition)
        assert everyone["advantages"] == pytest.approx([1 / 9, 1 / 9, -2 / 3])


def test_batch_exploration_looks_at_the_whole_group(http: httpx.Client) -> None:
    group = said("correct", BRIDGE, [True, True, False])
    reward = {"among": "correct", "advantage": "centered", "exploration": "batch"}
    partition = {"linkage": "single", "threshold": 0.55}
    answer = post(http, group, reward=reward | {"outcome": "class"}, partition=partition)
    plain = post(http, group, reward={"among": "correct", "advantage": "centered"},
                 partition=partition)  # fmt: skip
    added = np.subtract(answer["advantages"], plain["advantages"])
    assert added == pytest.approx([-0.2 * 2 / 3] * 3)


def test_pairs_that_single_linkage_leaves_out_change_no_member(tmp_path: Path) -> None:
    """A pairwise model is asked for as few pairs as both partitions need, and for no others."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    bert(folder, num_labels=2)
    texts = [" ".join(WORDS[k : k + 3 + k % 4]) for k in range(12)]
    source = random.Random(5)

    arguments = ("--model", f"cross-encoder:{folder}", "--cache-bytes", "0")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:

        def answer(right: list[bool], threshold: float, **options: Any) -> Any:
            body = {
                "groups": [said("correct", [*texts, texts[0]], right)],
                "partition": {"linkage": "single", "threshold": threshold},
            }
            return http.post("/v1/rewards", json=body | options).json()

        whole = answer([True] * 13, 0.5, return_probabilities=True)
        values = np.unique(whole["groups"][0]["probabilities"])
        saved = []
        for reward in (
            {"among": "correct"},
            {"objective": "gapo", "outcome": "class", "support": 3},
        ):
            for quantile, share in ((0.1, 0.5), (0.5, 0.5), (0.8, 0.7), (0.95, 0.5), (0.5, 0.0)):
                threshold = float(np.quantile(values, quantile))
                right = [source.random() < share for _ in range(13)]
                every = answer(right, threshold, reward=reward, return_probabilities=True)
                some = answer(right, threshold, reward=reward)
                for name in ("partition", "diversity", "rewards"):
                    assert some["groups"][0][name] == every["groups"][0][name]
                usage = some["usage"]
                assert usage["classified"] + usage["skipped"] == usage["pairs"] == 78
                saved.append(66 - usage["classified"])
        assert max(saved) > 20
