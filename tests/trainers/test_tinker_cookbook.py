"""tinker-cookbook's own group rollout and advantages."""

from pathlib import Path

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, QUALITY, TEXTS, need, run, whole_group


def test_a_group_is_rolled_out(words: Service, tmp_path: Path) -> None:
    command = [*need("trl", "tinker_cookbook"), str(DRIVERS / "tinker_group.py")]
    told = run(command, url=words.url, folder=tmp_path, given=TEXTS)
    whole = whole_group(words, "say something about a sea", TEXTS, QUALITY)
    rewards = whole["rewards"]
    assert told["rewards"] == pytest.approx(rewards)
    mean = sum(rewards) / len(rewards)
    assert told["advantages"] == pytest.approx([reward - mean for reward in rewards])
    for metrics, quality, diversity in zip(
        told["metrics"], QUALITY, whole["diversity"], strict=True
    ):
        assert metrics == pytest.approx(
            {
                "missing": float(quality < 1),
                "darling/quality": quality,
                "darling/diversity": diversity,
                "darling/num_classes": 3,
                "darling/collapsed": 0,
            }
        )
