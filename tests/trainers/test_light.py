"""verifiers' own group scoring, and the example with requests: no torch."""

import json
import subprocess

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, EXAMPLES, need, variables, whole_group

TEXTS = ["the sea is blue", "the sea is blue", "cold deep water", "waves and wind"]
QUALITY = [1.0, 1.0, 0.25, 0.25]


def test_verifiers_scores_a_group(words: Service) -> None:
    done = subprocess.run(
        [*need("light", "verifiers"), str(DRIVERS / "verifiers_group.py")],
        env=variables(DARLING_URL=words.url, PYTHONPATH=str(EXAMPLES)),
        input=json.dumps([("p", text) for text in TEXTS]),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    rewards = whole_group(words, "p", TEXTS, QUALITY)["rewards"]
    assert [one["reward"] for one in answer] == pytest.approx(rewards)
    mean = sum(rewards) / len(rewards)
    assert [one["advantage"] for one in answer] == pytest.approx([r - mean for r in rewards])


def test_the_example_with_requests(words: Service) -> None:
    command = [*need("light", "requests"), str(EXAMPLES / "with_requests.py"), words.url]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(run.stdout) == [1.0, 0.0, 0.5, 0.0]
