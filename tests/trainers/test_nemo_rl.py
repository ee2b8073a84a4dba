"""The NeMo-RL environment in an actor of ray, against the documented interface."""

from pathlib import Path

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, QUALITY, TEXTS, need, run, whole_group


def test_steps_of_a_batch_of_groups(words: Service, tmp_path: Path) -> None:
    command = [*need("verl", "ray"), str(DRIVERS / "nemo_rl_step.py")]
    given = [(prompt, text) for prompt in ("one", "two") for text in TEXTS]
    told = run(command, url=words.url, folder=tmp_path, given=given)
    rewards = whole_group(words, "one", TEXTS, QUALITY)["rewards"]
    assert told["training"] == pytest.approx(rewards * 2)
    assert told["validation"] == QUALITY * 2
    assert "use synchronous rollouts" in told["alone"]
