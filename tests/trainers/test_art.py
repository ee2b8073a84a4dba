"""ART's own gathering, after a judge as RULER is."""

from pathlib import Path

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, QUALITY, TEXTS, need, run, whole_group


def test_groups_are_gathered(words: Service, tmp_path: Path) -> None:
    """Trajectories come in the order in which they end."""
    command = [*need("v1", "art"), str(DRIVERS / "art_group.py")]
    told = run(command, url=words.url, folder=tmp_path, given=TEXTS)
    whole = whole_group(words, "say something about a sea", TEXTS, QUALITY)
    assert set(told) == set(TEXTS)
    for text, reward, quality, diversity in zip(
        TEXTS, whole["rewards"], QUALITY, whole["diversity"], strict=True
    ):
        assert told[text] == pytest.approx(
            {
                "reward": reward,
                "darling/quality": quality,
                "darling/diversity": diversity,
                "darling/num_classes": 3,
                "darling/collapsed": 0,
            }
        )
