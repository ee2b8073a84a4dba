"""The NeMo-RL environment in an actor of ray, against the documented interface."""

import json
import subprocess

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, SHAPES, need, variables, whole_group

TEXTS = ["the sea is blue", "the sea is blue", "cold deep water", "waves and wind"]
QUALITY = [1.0, 1.0, 0.25, 0.25]


def test_steps_of_a_batch_of_groups(words: Service) -> None:
    done = subprocess.run(
        [*need("verl", "ray"), str(DRIVERS / "nemo_rl_step.py")],
        env=variables(DARLING_URL=words.url, PYTHONPATH=str(SHAPES), RAY_USAGE_STATS_ENABLED="0"),
        input=json.dumps([(prompt, text) for prompt in ("one", "two") for text in TEXTS]),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    rewards = whole_group(words, "one", TEXTS, QUALITY)["rewards"]
    assert told["training"] == pytest.approx(rewards * 2)
    assert told["validation"] == QUALITY * 2
    assert "use synchronous rollouts" in told["alone"]
