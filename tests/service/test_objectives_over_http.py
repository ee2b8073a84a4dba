"""Objectives and advantages beyond DARLING through the service's doors, against worked figures."""

import gzip
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from darling_models.errors import ModelError
from darling_service.scoring.visits import Visits
from tests.conftest import running, until

PROMPT = "What is 6 times 7?"
TEXTS = ["It is 42.", "42, of course.", "Forty-one.", "I would say 42."]
CORRECT = [True, True, False, True]
ANSWERS = ["42", " 42", "41", "42"]


def group(**columns: list[Any]) -> dict[str, Any]:
    """Four rollouts with these fields in each."""
    rollouts = [
        {"text": text} | {name: values[i] for name, values in columns.items()}
        for i, text in enumerate(TEXTS)
    ]
    return {"prompt": PROMPT, "rollouts": rollouts}


def post(http: httpx.Client, one: dict[str, Any], model: str = "exact", **more: Any) -> Any:
    """The answer to one group, or the problem."""
    answer = http.post("/v1/rewards", json={"groups": [one], "model": model, **more})
    body = answer.json()
    return body["groups"][0] if answer.status_code == 200 else body


def advantages(http: httpx.Client, one: dict[str, Any], **reward: Any) -> list[float]:
    found: list[float] = post(http, one, reward=reward)["advantages"]
    return found


def test_pass_at_k_training(http: httpx.Client) -> None:
    """c = 3 of n = 4, k = 1: R = 3/4, s = sqrt(3)/4; (1/4)/s and (1/4 - 1)/s."""
    one = group(correct=CORRECT)
    found = advantages(http, one, objective="quality", advantage="pass_at_k", k=1)
    assert found == pytest.approx([0.57735, 0.57735, -1.73205, 0.57735], abs=1e-5)
    two = advantages(http, one, objective="quality", advantage="pass_at_k", k=2)
    assert two == [0, 0, 0, 0], "every two hold a correct one"


def test_pkpo_of_the_shaped_rewards(http: httpx.Client) -> None:
    """k = 2, g = 3, 1, 0, 0: each pair's maximum less the other's value, by hand over 6 pairs."""
    one = group(quality=[3.0, 1.0, 0.0, 0.0])
    found = advantages(http, one, objective="quality", advantage="pkpo", k=2)
    assert found == pytest.approx([(2 + 3 + 3) / 6, (1 + 1) / 6, 0, 0])


def test_signed_advantages(http: httpx.Client) -> None:
    for name, right, wrong in (("psr", 1, 0), ("nsr", 0, -1), ("w_reinforce", 0.1, -1)):
        found = advantages(http, group(correct=CORRECT), objective="quality", advantage=name)
        assert found == pytest.approx([right, right, wrong, right])
    # Quality of 0 and 1 is a verdict too.
    one = group(quality=[1.0, 1.0, 0.0, 1.0])
    assert advantages(http, one, advantage="nsr") == [0, 0, -1, 0]


def test_unlikeliness(http: httpx.Client) -> None:
    """Ranks 1, 2, 0, 3 of 4 by log-probability; the wrong one keeps its 0."""
    one = group(correct=CORRECT, logprob=[-2.0, -1.5, -9.0, -0.5])
    found = post(http, one, reward={"objective": "unlikeliness"})["rewards"]
    assert found == pytest.approx([1 - 0.25 / 4, 1 - 0.5 / 4, 0, 1 - 0.75 / 4])
    found = post(http, one, reward={"objective": "unlikeliness", "rank_weight": 1.0})["rewards"]
    assert found == pytest.approx([0.75, 0.5, 0, 0.25])


def test_uniqueness_scales_advantages_by_class(http: httpx.Client) -> None:
    one = group(quality=[1.0, 1.0, 0.0, 1.0])
    one["rollouts"][1]["text"] = TEXTS[0].upper()  # the classifier "exact" folds case
    reward = {"objective": "quality", "advantage": "centered", "uniqueness": 1.0}
    assert advantages(http, one, **reward) == pytest.approx([0.125, 0.125, -0.75, 0.25])
    one["rollouts"][3]["text"] = TEXTS[2]
    published = advantages(http, one, **reward, uniqueness_of="all")
    assert published == pytest.approx([0.125, 0.125, -0.375, 0.125])


def test_batch_exploration_is_added_to_advantages(http: httpx.Client) -> None:
    one = group(correct=CORRECT, answer=ANSWERS)
    reward = {"objective": "quality", "advantage": "centered", "exploration": "batch"}
    plain, bonus = np.asarray([0.25, 0.25, -0.75, 0.25]), np.asarray([-0.5, -0.5, 0, -0.5])
    assert advantages(http, one, **reward) == pytest.approx(plain + 0.2 * bonus)
    weighed = advantages(http, one, **reward, exploration_weight=1.0)
    assert weighed == pytest.approx(plain + bonus)
    by_class = advantages(http, one, **reward, outcome="class")
    assert by_class == pytest.approx(plain), "four texts, four classes"


def test_gapo(http: httpx.Client) -> None:
    """Of three valid answers 42 has them all: 1 - (1 - 1/2); the invalid one gets -1."""
    one = group(correct=CORRECT, answer=ANSWERS)
    found = post(http, one, reward={"objective": "gapo", "support": 2})["rewards"]
    assert found == pytest.approx([0.5, 0.5, -1, 0.5])


def test_dqo_is_a_volume_to_add(http: httpx.Client) -> None:
    """Marginal log-volume of the cosines that the embeddings model itself reports."""
    one = group(quality=[1.0, 1.0, 0.0, 1.0])
    reward = {"objective": "additive", "diversity": "volume", "weights": {"diversity": 2.0}}
    found = post(http, one, "embedded", reward=reward)
    volume = np.asarray(found["diversity"])
    assert (volume > 0).all()
    assert (volume < np.log(2)).all()
    assert found["rewards"] == pytest.approx(np.asarray([1, 1, 0, 1]) + 2 * volume)
    one["rollouts"][2]["text"] = one["rollouts"][0]["text"]
    copied = np.asarray(post(http, one, "embedded", reward=reward)["diversity"])
    assert copied[0] == pytest.approx(copied[2])
    assert copied[0] <= np.log(3 / 2) + 1e-6, "a copy adds at most log 3 - log 2"
    assert volume[0] > copied[0]


@pytest.mark.processor
def test_dqo_against_determinants_of_the_cosines(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--model", "embeddings") as service, service.client() as http:
        one = group(quality=[1.0, 1.0, 0.0, 1.0])
        reward = {"objective": "diversity", "diversity": "volume"}
        found = post(http, one, "embeddings", reward=reward, return_probabilities=True)
        gram = 2 * np.asarray(found["probabilities"]) - 1
        whole = np.linalg.slogdet(gram + np.eye(4))[1]
        for i, value in enumerate(found["rewards"]):
            rest = np.delete(np.delete(gram, i, 0), i, 1)
            assert value == pytest.approx(whole - np.linalg.slogdet(rest + np.eye(3))[1])


def test_evol(http: httpx.Client) -> None:
    """A majority of three in [0.5, 1], its most novel member at 1; a lone minority at -0.5."""
    one = group(answer=[*ANSWERS])
    found = post(http, one, "embedded", reward={"objective": "evol"})
    majority = [found["rewards"][i] for i in (0, 1, 3)]
    assert max(majority) == 1.0
    assert min(majority) == 0.5
    assert found["rewards"][2] == -0.5
    assert found["quality"] is None
    del one["rollouts"][2]["answer"]
    assert post(http, one, "embedded", reward={"objective": "evol"})["rewards"][2] == -1.0


def test_evol_takes_all_minorities_as_one(http: httpx.Client) -> None:
    """Two wrong answers: the more novel one at the end of their range, the other at its start."""
    one = group(answer=["42", "42", "41", "40"])
    found = post(http, one, "embedded", reward={"objective": "evol"})["rewards"]
    assert sorted(found[2:]) == [-1.0, -0.5]
    del one["rollouts"][3]["answer"]  # has no part in the others' novelty
    assert post(http, one, "embedded", reward={"objective": "evol"})["rewards"][2:] == [-0.5, -1.0]


@pytest.mark.parametrize(
    "reward",
    [
        {"objective": "evol"},
        {"objective": "evol", "outcome": "class"},
        {"objective": "additive", "diversity": "volume"},
    ],
)
def test_the_order_of_rollouts_changes_no_bit(http: httpx.Client, reward: dict[str, Any]) -> None:
    """Two classes of two, so that no majority is by number; copies are worth the same."""
    texts = ["Paris, for its museums.", "Oslo, for its fjord."] * 2 + ["Rome is old."]
    rollouts = [{"text": text, "quality": 1.0, "answer": text[:4]} for text in texts]
    shuffled = [3, 0, 4, 2, 1]
    first, second = (
        post(http, {"prompt": PROMPT, "rollouts": own}, "embedded", reward=reward)["rewards"]
        for own in (rollouts, [rollouts[i] for i in shuffled])
    )
    assert second == [first[i] for i in shuffled]
    assert (first[0], first[1]) == (first[2], first[3])


def test_vector_policy_optimisation(http: httpx.Client) -> None:
    both, half = [[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5]]
    one = group(solutions=[both, half, both, []])
    reward = {"objective": "vector", "advantage": "vpo"}
    found = post(http, one, reward=reward)
    a, b, c, d = found["rewards"]
    assert a == c
    assert a == pytest.approx(0.75, abs=0.05), "E max(w, 1 - w) of a uniform w"
    assert b == pytest.approx(0.5)
    assert d == 0
    assert sum(found["advantages"]) == pytest.approx(0, abs=1e-9)
    assert np.std(found["advantages"]) == pytest.approx(1, abs=1e-4)
    assert post(http, one, reward=reward) == found
    assert post(http, one, reward={**reward, "seed": 7})["rewards"][0] != a


def test_visits_count_a_step_once_and_outlive_the_service(tmp_path: Path) -> None:
    one = group(correct=CORRECT, answer=ANSWERS)
    reward = {
        **{"objective": "quality", "advantage": "centered"},
        **{"exploration": "visits", "exploration_weight": 1.0},
    }
    plain = np.asarray([0.25, 0.25, -0.75, 0.25])

    def bonus(http: httpx.Client, step: int, run: str = "a") -> np.ndarray:
        found = post(http, one, reward=reward, run={"name": run, "step": step})
        added: np.ndarray = np.asarray(found["advantages"]) - plain
        return added

    file = str(tmp_path / "visits.db")
    options = ("--model", "exact", "--visits-file", file)
    with running(tmp_path / "log", *options) as service, service.client() as http:
        assert bonus(http, 3) == pytest.approx([0.5] * 4), "never seen: 1 - 0.5"
        again = list(ThreadPoolExecutor(4).map(lambda _: bonus(http, 3), range(8)))
        assert all(found == pytest.approx([0.5] * 4) for found in again), "its own step's retries"
        thrice = 3**-0.5 - 0.5
        assert bonus(http, 4) == pytest.approx([thrice, thrice, 0.5, thrice])
        assert bonus(http, 3) == pytest.approx([0.5] * 4), "a late retry, as the first time"
        assert bonus(http, 4, run="b") == pytest.approx([0.5] * 4), "another run"
    with running(tmp_path / "log", *options) as service, service.client() as http:
        six = 6**-0.5 - 0.5
        assert bonus(http, 9) == pytest.approx([six, six, 2**-0.5 - 0.5, six])
        one["rollouts"] = one["rollouts"][::-1]
        plain = plain[::-1]
        assert bonus(http, 9) == pytest.approx([six, 2**-0.5 - 0.5, six, six])


def test_preferences(http: httpx.Client) -> None:
    """Good: within 0.2 of the best, 1; bad: of the worst, 0. Copies are the least distinct."""
    texts = ["Blue.", "Green.", "Blue.", "Seven.", "Seven.", "Perhaps red."]
    quality = [1.0, 0.9, 1.0, 0.0, 0.1, 0.5]
    body: dict[str, Any] = {
        "groups": [
            {"id": "x", "prompt": "Name a colour.", "rollouts": texts, "quality": quality},
            {"prompt": "Name a colour.", "rollouts": texts, "quality": [1.0] * 6},
        ],
        "model": "exact",
    }
    first, second = http.post("/v1/preferences", json=body).json()["groups"]
    assert (first["id"], first["chosen"], first["rejected"]) == ("x", 1, 3)
    assert first["num_classes"] == 4
    assert (second["chosen"], second["rejected"]) == (None, None)
    narrow = http.post("/v1/preferences", json=body | {"share": 0.05}).json()["groups"][0]
    assert (narrow["chosen"], narrow["rejected"]) == (0, 3)
    body["groups"][0].pop("quality")
    refused = http.post("/v1/preferences", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["loc"] == ["groups", 0, "quality"]


@pytest.mark.parametrize(
    ("columns", "reward", "more", "loc", "cure"),
    [
        ({}, {"objective": "gapo", "support": 3}, {}, "rollouts", "give `correct`"),
        ({"correct": CORRECT}, {"objective": "gapo"}, {}, "reward", "needs support"),
        ({"correct": CORRECT}, {"advantage": "pass_at_k"}, {}, "reward", "needs k"),
        ({"correct": CORRECT}, {"advantage": "pkpo", "k": 5}, {}, "rollouts", "lower k"),
        ({"correct": CORRECT}, {"advantage": "grpo", "k": 2}, {}, "reward", "drop k"),
        ({"correct": CORRECT}, {"uniqueness": 1.0}, {}, "reward", "set advantage"),
        ({"quality": [2.0] * 4}, {"advantage": "nsr"}, {}, "rollouts", "0 and 1"),
        (
            {"correct": CORRECT},
            {"advantage": "centered", "exploration": "batch"},
            {},
            "rollouts",
            "give `answer`",
        ),
        (
            {"correct": CORRECT, "answer": ANSWERS},
            {"advantage": "centered", "exploration": "visits"},
            {"run": {"name": "a"}},
            "run",
            "step",
        ),
        ({"correct": CORRECT}, {"diversity": "volume"}, {}, "reward", "additive"),
        ({"correct": CORRECT}, {"weights": {"quality": 2.0}}, {}, "reward", "drop weights"),
        ({"correct": CORRECT}, {"objective": "quality", "floor": 0.5}, {}, "reward", "drop floor"),
        ({"correct": CORRECT}, {"outcome": "class"}, {}, "reward", "drop outcome"),
        (
            {"correct": CORRECT},
            {"advantage": "grpo", "uniqueness_of": "all"},
            {},
            "reward",
            "drop uniqueness_of",
        ),
        ({"correct": CORRECT}, {}, {"run": {"name": "a", "step": 2**63}}, "step", "less than"),
        (
            {"quality": [1.0] * 4, "logprob": [1e308] * 4},
            {"diversity": "unlikelihood"},
            {},
            "logprob",
            "less than",
        ),
        (
            {"correct": CORRECT},
            {"objective": "additive", "diversity": "volume"},
            {},
            "diversity",
            "serve embedded",
        ),
        (
            {"correct": CORRECT},
            {"objective": "additive", "diversity": "volume"},
            {"model": "embedded", "partition": {"short_answer_rule": True}},
            "short_answer_rule",
            "remove it",
        ),
        (
            {"solutions": [[[1.0]], [[1.0, 2.0]], [], []]},
            {"objective": "vector"},
            {},
            "solutions",
            "same counts",
        ),
        ({}, {"objective": "vector"}, {}, "solutions", "missing"),
    ],
)
def test_what_is_missing_is_named_with_its_cure(
    http: httpx.Client,
    columns: dict[str, list[Any]],
    reward: dict[str, Any],
    more: dict[str, Any],
    loc: str,
    cure: str,
) -> None:
    body = {"groups": [group(**columns)], "model": "exact", "reward": reward} | more
    answer = http.post("/v1/rewards", json=body)
    assert answer.status_code == 422, answer.text
    error = answer.json()["errors"][0]
    assert loc in error["loc"]
    assert cure in error["msg"]


def test_visits_of_cohorts_are_told_apart_and_a_late_sibling_replaces(
    http: httpx.Client,
) -> None:
    def send(cohort: str, member: int, step: int, size: int, wait: float = 30) -> Any:
        body = {
            **{"run": {"name": "cohorts", "step": step}, "group_id": cohort, "member_id": member},
            **{"group_size": size, "prompt": "Pick.", "text": "It is 42.", "correct": True},
            **{"answer": "42", "model": "exact", "deadline_s": wait},
            "reward": {
                **{"objective": "quality", "advantage": "centered", "exploration": "visits"},
                "exploration_weight": 1.0,
            },
        }
        answer = http.post("/v1/rollouts", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    for cohort in ("first", "second"):  # alike in prompt, texts and answers
        send(cohort, 0, 1, 1)
    assert send("a", 0, 2, 1)["advantage"] == pytest.approx(2**-0.5 - 0.5), "seen twice"
    assert send("late", 0, 3, 2, wait=0.1)["group_complete"] is False
    send("late", 1, 3, 2)
    # Two in step 1, one in step 2, two in step 3.
    assert send("b", 0, 4, 1)["advantage"] == pytest.approx(5**-0.5 - 0.5)


def test_a_locked_file_of_visits_is_an_outage_that_passes(tmp_path: Path) -> None:
    file = tmp_path / "visits.db"
    reward = {"advantage": "centered", "exploration": "visits"}
    body = {
        "groups": [group(correct=CORRECT, answer=ANSWERS)],
        **{"model": "exact", "reward": reward, "run": {"name": "a", "step": 1}},
    }
    other_work = gzip.compress(json.dumps({"groups": [group(quality=[1.0] * 4)]}).encode())
    arguments = ("--model", "exact", "--visits-file", str(file))
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        holder = sqlite3.connect(file)
        holder.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with ThreadPoolExecutor(25) as callers:
            counting = [callers.submit(http.post, "/v1/rewards", json=body) for _ in range(24)]
            zipped = {"content-encoding": "gzip"}
            unrelated = callers.submit(http.post, "/v1/rewards", content=other_work, headers=zipped)
            assert unrelated.result().status_code == 200
        assert time.monotonic() - started < 10, "24 that wait 5 s each, one after the other"
        for refused in (future.result() for future in counting):
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert "visits_file" in refused.json()["detail"]
        holder.rollback()
        holder.close()
        until(lambda: http.post("/v1/rewards", json=body).status_code == 200)


@pytest.mark.parametrize("path", ["missing/visits.db", "file/visits.db", "folder", "broken"])
def test_a_file_of_visits_that_cannot_be_written_is_said_at_the_start(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").write_text("this is no database, whatever its name says")
    with pytest.raises(ModelError, match=f"visits_file {tmp_path / path} cannot be written: "):
        Visits(tmp_path / path, max_counts=10)


def test_the_cohort_endpoint_takes_them_too(http: httpx.Client) -> None:
    def member(i: int) -> dict[str, Any]:
        return {
            **{"run": {"name": "beyond", "step": 1}, "group_id": "g", "member_id": i},
            **{"group_size": 4, "prompt": PROMPT, "text": TEXTS[i], "correct": CORRECT[i]},
            **{"answer": ANSWERS[i], "model": "exact", "deadline_s": 60},
            "reward": {
                **{"objective": "quality", "advantage": "pass_at_k", "k": 1},
                **{"exploration": "visits", "exploration_weight": 1.0},
            },
        }

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda i: http.post("/v1/rollouts", json=member(i)), range(4)))
    found = [answer.json()["advantage"] for answer in answers]
    wanted = np.asarray([0.57735, 0.57735, -1.73205, 0.57735]) + 0.5
    assert found == pytest.approx(wanted, abs=1e-5)
