"""SkyRL's own generator with the mixin before it."""

from pathlib import Path

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, QUALITY, TEXTS, need, run, whole_group


def test_the_packages_generator(words: Service, tmp_path: Path) -> None:
    command = [*need("verl", "skyrl"), str(DRIVERS / "skyrl_rollouts.py")]
    given = [(uid, text) for text in TEXTS for uid in ("one", "two")]
    told = run(command, url=words.url, folder=tmp_path, given=given)
    rewards = whole_group(words, "p", TEXTS, QUALITY)["rewards"]
    once = [reward for reward in rewards for _ in ("one", "two")]
    assert [sum(reward) for reward in told["training"]] == pytest.approx(once)
    assert [sum(reward) for reward in told["steps"][1::2]] == pytest.approx(once)
    assert [sum(reward) for reward in told["evaluation"]] == [q for q in QUALITY for _ in range(2)]
