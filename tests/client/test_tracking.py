"""The figures of a step for the logger of a loop of one's own."""

from dataclasses import replace

import pytest

from darling_client import GroupRewards, Model, RolloutReward, Unreachable
from darling_client.tracking import figures

MODEL = Model("unigram", "1", 0.5, "single")
GROUP = GroupRewards(
    partition=[0, 0, 1],
    num_classes=2,
    diversity=[0.5, 0.5, 1.0],
    quality=[1.0, 0.0, 0.5],
    rewards=[0.5, 0.0, 0.5],
    model=MODEL,
)
ROLLOUT = RolloutReward(
    reward=0.25,
    diversity=0.25,
    quality=1.0,
    class_=0,
    num_classes=1,
    group_complete=False,
    group_size=2,
    model=MODEL,
)


def test_groups_and_outages() -> None:
    one = replace(GROUP, partition=[0] * 3, num_classes=1, diversity=[0.0] * 3, rewards=[0.0] * 3)
    lost = Unreachable("nobody is there")
    assert figures([GROUP, one, lost]) == pytest.approx(
        {
            "darling/quality": 0.5,
            "darling/reward": 1 / 6,
            "darling/diversity": 1 / 3,
            "darling/num_classes": 1.5,
            "darling/collapsed": 0.5,
            "darling/partial": 0.0,
            "darling/unanswered": 1 / 3,
        }
    )


def test_rollouts_of_cohorts() -> None:
    whole = replace(ROLLOUT, group_complete=True, num_classes=2)
    assert figures([ROLLOUT, whole]) == {
        "darling/quality": 1.0,
        "darling/reward": 0.25,
        "darling/diversity": 0.25,
        "darling/num_classes": 1.5,
        "darling/collapsed": 0.5,
        "darling/partial": 0.5,
        "darling/unanswered": 0.0,
    }


def test_a_rollout_alone_has_not_collapsed() -> None:
    assert figures([replace(ROLLOUT, group_size=1)])["darling/collapsed"] == 0.0


def test_what_is_not_known_is_not_logged() -> None:
    assert "darling/quality" not in figures([replace(GROUP, quality=None)])
    half = figures([replace(GROUP, quality=None), GROUP])
    assert half["darling/quality"] == 0.5
    assert figures([]) == {"darling/unanswered": 0.0}
