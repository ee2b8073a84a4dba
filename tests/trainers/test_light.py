"""verifiers' own group scoring, and the example with requests: no torch."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, EXAMPLES, QUALITY, TEXTS, need, run, whole_group


def test_verifiers_scores_a_group(words: Service, tmp_path: Path) -> None:
    command = [*need("light", "verifiers"), str(DRIVERS / "verifiers_group.py")]
    given = [("p", text) for text in TEXTS]
    answer = run(command, url=words.url, folder=tmp_path, given=given)
    rewards = whole_group(words, "p", TEXTS, QUALITY)["rewards"]
    assert [one["reward"] for one in answer] == pytest.approx(rewards)
    mean = sum(rewards) / len(rewards)
    assert [one["advantage"] for one in answer] == pytest.approx([r - mean for r in rewards])


def test_the_example_with_requests(words: Service) -> None:
    command = [*need("light", "requests"), str(EXAMPLES / "with_requests.py"), words.url]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(run.stdout) == [1.0, 0.0, 0.5, 0.0]
