"""ms-swift's own `score_completions`, with the plugin file as a user has it."""

import json
import subprocess

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, EXAMPLES, need, variables, whole_group

N = 4
TEXTS = ["the sea is blue", "the sea is blue", "cold deep water", "waves and wind"]
ROWS = [(f"prompt {g}", TEXTS[member % (g + 2)]) for g in range(3) for member in range(N)]


def scores(url: str, **more: str) -> list[float | None]:
    python = need("swift", "swift")
    done = subprocess.run(
        [*python, str(DRIVERS / "swift_score.py"), str(EXAMPLES / "swift_plugin.py"), str(N)],
        env=variables(DARLING_URL=url, **more),
        input=json.dumps(ROWS),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: list[float | None] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def test_the_plugin_in_the_packages_own_scoring(words: Service) -> None:
    expected = []
    for start in range(0, len(ROWS), N):
        texts = [text for _, text in ROWS[start : start + N]]
        quality = [1.0 if "blue" in text else 0.25 for text in texts]
        expected += whole_group(words, ROWS[start][0], texts, quality)["rewards"]
    assert scores(words.url) == pytest.approx(expected)
    assert len(set(expected)) > 3
