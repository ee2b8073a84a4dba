"""verl's own reward manager loading and `run_single`, in one process and spread over eight."""

import json
import random
import subprocess
from itertools import chain
from typing import Any

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, EXAMPLES, need, variables, whole_group

N, PROMPT = 8, "say something about a sea"
Rollout = tuple[str, int, str]


def rollouts(split: str, groups: int, n: int = N) -> list[Rollout]:
    """Groups whose members fall into one to four classes."""
    things = ["the sea is blue", "cold deep water", "waves and wind", "ships sail far"]
    return [
        (f"{split}-{g}", member, f"{things[member % (g % 4 + 1)]} {'still' * (g % 2)}".strip())
        for g in range(groups)
        for member in range(n)
    ]


def said(url: str, workers: list[list[Rollout]], *overrides: str) -> list[list[dict[str, Any]]]:
    """What each rollout of each worker's is answered."""
    python = need("verl", "verl")
    driver = [str(DRIVERS / "verl_rollouts.py"), str(EXAMPLES)]
    done = subprocess.run(
        [*python, *driver, f"+reward.darling.url={url}", *overrides],
        env=variables(),
        input=json.dumps(workers),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout.strip().splitlines()[-1])
    return answers


def check(service: Service, given: list[Rollout], answers: list[dict[str, Any]]) -> None:
    """That each rollout got exactly what the service says to its whole group."""
    for uid in {uid for uid, _, _ in given}:
        members = [index for index, rollout in enumerate(given) if rollout[0] == uid]
        texts = [given[index][2] for index in members]
        quality = [1.0 if "blue" in text else 0.25 for text in texts]
        whole = whole_group(service, PROMPT, texts, quality)
        for index, reward, diversity, q in zip(
            members, whole["rewards"], whole["diversity"], quality, strict=True
        ):
            answer = answers[index]
            assert answer["reward_score"] == reward
            assert answer["reward_extra_info"] == {
                "score": q,
                "acc": float(q == 1),
                "quality": q,
                "diversity": diversity,
                "num_classes": whole["num_classes"],
                "collapsed": float(whole["num_classes"] == 1 < len(members)),
                "group_complete": 1.0,
            }


def test_interleaved_groups_in_one_process(words: Service) -> None:
    given = rollouts("train", 4)
    random.Random(1).shuffle(given)
    (answers,) = said(words.url, [given])
    check(words, given, answers)
    assert len({answer["reward_score"] for answer in answers}) > 4


def test_siblings_in_eight_processes(words: Service) -> None:
    given = [(f"{uid}-spread", member, text) for uid, member, text in rollouts("train", 4)]
    random.Random(2).shuffle(given)
    shares = [given[worker::8] for worker in range(8)]
    assert all(len({uid for uid, _, _ in share}) > 1 for share in shares)
    answers = said(words.url, shares)
    check(words, list(chain(*shares)), list(chain(*answers)))


def test_validation_has_a_group_size_of_its_own(words: Service) -> None:
    given = rollouts("test", 3, n=1) + rollouts("Validation_aime", 1, n=1)
    given += rollouts("train", 1) + rollouts("mixture", 1)
    given = [(f"{uid}-beside", member, text) for uid, member, text in given]
    (answers,) = said(words.url, [given])
    check(words, given, answers)


def test_a_missing_sibling_is_flagged(words: Service) -> None:
    given = [("train-partial", member, text) for _, member, text in rollouts("train", 1)[:3]]
    overrides = ("+reward.darling.deadline_s=2",)
    (answers,) = said(words.url, [given], *overrides)
    assert [answer["reward_extra_info"]["group_complete"] for answer in answers] == [0.0] * 3
    assert [answer["reward_extra_info"]["diversity"] for answer in answers] == [0.0] * 3


def test_no_service_is_a_failure_and_no_number() -> None:
    overrides = ("+reward.darling.patience_s=1",)
    (answers,) = said("http://127.0.0.1:9", [rollouts("train", 1)], *overrides)
    assert all(answer["failed"].startswith("Unreachable: gave up") for answer in answers)
