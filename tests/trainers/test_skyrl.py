"""SkyRL's own generator with the mixin before it."""

import json
import subprocess

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, need, variables, whole_group

TEXTS = ["the sea is blue", "the sea is blue", "cold deep water", "waves and wind"]
QUALITY = [1.0, 1.0, 0.25, 0.25]


def test_the_packages_generator(words: Service) -> None:
    done = subprocess.run(
        [*need("verl", "skyrl"), str(DRIVERS / "skyrl_rollouts.py")],
        env=variables(DARLING_URL=words.url),
        input=json.dumps([(uid, text) for text in TEXTS for uid in ("one", "two")]),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    rewards = whole_group(words, "p", TEXTS, QUALITY)["rewards"]
    once = [reward for reward in rewards for _ in ("one", "two")]
    assert [sum(reward) for reward in told["training"]] == pytest.approx(once)
    assert [sum(reward) for reward in told["steps"][1::2]] == pytest.approx(once)
    assert [sum(reward) for reward in told["evaluation"]] == [q for q in QUALITY for _ in range(2)]
