"""AReaL's own reward wrapper, in its process pool, as the quality of a whole group."""

from pathlib import Path

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, QUALITY, TEXTS, need, run, whole_group


def test_a_group_with_the_packages_wrapper(words: Service, tmp_path: Path) -> None:
    command = [*need("verl", "areal"), str(DRIVERS / "areal_group.py")]
    rewards = run(command, url=words.url, folder=tmp_path, given=TEXTS)
    whole = whole_group(words, "p", TEXTS, QUALITY)
    assert rewards == pytest.approx(whole["rewards"])
