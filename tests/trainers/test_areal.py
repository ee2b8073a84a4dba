"""AReaL's own reward wrapper, in its process pool, as the quality of a whole group."""

import json
import subprocess

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, need, variables, whole_group

TEXTS = ["the sea is blue", "the sea is blue", "cold deep water", "waves and wind"]


def test_a_group_with_the_packages_wrapper(words: Service) -> None:
    done = subprocess.run(
        [*need("verl", "areal"), str(DRIVERS / "areal_group.py")],
        env=variables(DARLING_URL=words.url),
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    whole = whole_group(words, "p", TEXTS, [1.0, 1.0, 0.25, 0.25])
    assert json.loads(done.stdout.strip().splitlines()[-1]) == pytest.approx(whole["rewards"])
