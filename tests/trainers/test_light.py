"""verifiers' own group scoring, skyrl-gym's environments behind the generator mixin, requests."""

import json
import subprocess
from typing import Any

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, EXAMPLES, need, variables, whole_group

TEXTS = ["the sea is blue", "the sea is blue", "cold deep water", "waves and wind"]
QUALITY = [1.0, 1.0, 0.25, 0.25]


def said(kind: str, module: str, url: str, rollouts: list[tuple[str, str]]) -> Any:
    python = need("light", module)
    done = subprocess.run(
        [*python, str(DRIVERS / "light_rollouts.py"), kind],
        env=variables(DARLING_URL=url, PYTHONPATH=str(EXAMPLES)),
        input=json.dumps(rollouts),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_verifiers_scores_a_group(words: Service) -> None:
    answer = said("verifiers", "verifiers", words.url, [("p", text) for text in TEXTS])
    rewards = whole_group(words, "p", TEXTS, QUALITY)["rewards"]
    assert [one["reward"] for one in answer] == pytest.approx(rewards)
    mean = sum(rewards) / len(rewards)
    assert [one["advantage"] for one in answer] == pytest.approx([r - mean for r in rewards])


def test_skyrl_environments_behind_the_generator(words: Service) -> None:
    rollouts = [(prompt, text) for text in TEXTS for prompt in ("one", "two")]
    training, evaluation = said("skyrl", "skyrl_gym", words.url, rollouts)
    rewards = whole_group(words, "one", TEXTS, QUALITY)["rewards"]
    assert training == pytest.approx([reward for reward in rewards for _ in ("one", "two")])
    assert evaluation == [quality for quality in QUALITY for _ in ("one", "two")]


def test_the_example_with_requests(words: Service) -> None:
    command = [*need("light", "requests"), str(EXAMPLES / "with_requests.py"), words.url]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(run.stdout) == [1.0, 0.0, 0.5, 0.0]
