"""verifiers' own evaluation, `vf-eval`, of an environment whose episode is a group."""

from typing import Any

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, QUALITY, TEXTS, need, run, whole_group

PROMPT = "say something about a sea"


@pytest.fixture(scope="module")
def episodes(words: Service, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The attempts of two episodes, the second with one that failed."""
    command = [*need("v1", "verifiers.v1"), str(DRIVERS / "verifiers_v1_eval.py")]
    groups = [TEXTS, [*TEXTS[:2], None, *TEXTS[3:]]]
    told = run(command, url=words.url, folder=tmp_path_factory.mktemp("v1"), given=groups)
    assert [episode["errors"] for episode in told] == [[], []]
    return [episode["traces"] for episode in told]


def reward(trace: dict[str, Any]) -> float:
    """As verifiers adds it up."""
    return float(sum(one["score"] * one["weight"] for one in trace["rewards"].values()))


def test_an_episode_is_a_group(words: Service, episodes: list[Any]) -> None:
    attempts = episodes[0]
    whole = whole_group(words, PROMPT, TEXTS, QUALITY)
    assert [reward(trace) for trace in attempts] == pytest.approx(whole["rewards"])
    for trace, quality, diversity in zip(attempts, QUALITY, whole["diversity"], strict=True):
        expected = {"quality": quality, "diversity": diversity, "num_classes": 3, "collapsed": 0}
        assert {name: trace["metrics"][f"darling/{name}"] for name in expected} == pytest.approx(
            expected
        )


def test_an_attempt_that_failed_takes_no_part(words: Service, episodes: list[Any]) -> None:
    first, second, failed, last = episodes[1]
    assert not failed["ok"]
    assert failed["rewards"] == {}
    texts, quality = [TEXTS[0], TEXTS[1], TEXTS[3]], [1.0, 1.0, 0.25]
    rewards = whole_group(words, PROMPT, texts, quality)["rewards"]
    assert [reward(trace) for trace in (first, second, last)] == pytest.approx(rewards)
