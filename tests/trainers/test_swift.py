"""ms-swift's own `score_completions`, with the plugin file as a user has it."""

from pathlib import Path

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, EXAMPLES, TEXTS, need, run, whole_group

N = 4
ROWS = [(f"prompt {g}", TEXTS[member % (g + 2)]) for g in range(3) for member in range(N)]


def test_the_plugin_in_the_packages_own_scoring(words: Service, tmp_path: Path) -> None:
    expected = []
    for start in range(0, len(ROWS), N):
        texts = [text for _, text in ROWS[start : start + N]]
        quality = [1.0 if "blue" in text else 0.25 for text in texts]
        expected += whole_group(words, ROWS[start][0], texts, quality)["rewards"]
    driver = [str(DRIVERS / "swift_score.py"), str(EXAMPLES / "swift_plugin.py"), str(N)]
    command = [*need("swift", "swift"), *driver]
    scores = run(command, url=words.url, folder=tmp_path, given=ROWS)
    assert scores == pytest.approx(expected)
    assert len(set(expected)) > 3
