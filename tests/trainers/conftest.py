"""Scripts of the trainers' environments against a running service."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service, running
from tests.trainers.environments import ENVIRONMENTS, ROOT

DRIVERS = ROOT / "tests/trainers/drivers"
EXAMPLES = ROOT / "clients/examples"
SHAPES = ROOT / "tests/trainers/shapes"
"""Interfaces of packages that cannot be had, by their documentation."""

TEXTS = ["the sea is blue", "the sea is blue", "cold deep water", "waves and wind"]
QUALITY = [1.0, 1.0, 0.25, 0.25]
"""Of each text, as the drivers' and the examples' quality functions judge it."""

WORDS = ("--model", "unigram", "--threshold", "0.5")
"""A service that judges by the words of two texts: instant, and easy to work out by hand."""


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("words") / "log", *WORDS) as service:
        yield service


def need(name: str, module: str) -> list[str]:
    """The interpreter of a trainer's environment as a command; skips where it has no `module`."""
    environment = ENVIRONMENTS[name]
    if environment.failed.exists():
        pytest.skip(f"{module}: {environment.failed.read_text()}")
    if not environment.python.exists():
        pytest.skip(f"{module}: no environment {name!r}; run make test-trainers")
    found = f"import importlib.util as u; raise SystemExit(u.find_spec({module!r}) is None)"
    if subprocess.run([environment.python, "-c", found], cwd=environment.folder).returncode:
        pytest.skip(f"{module} is not installed in the environment {name!r}")
    return [str(environment.python)]


def variables(**more: str) -> dict[str, str]:
    """The environment of a trainer's process: none of the service's packages, no hub."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("DARLING_")
    }
    quiet = {"HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    return {**kept, **quiet, **more}


def run(command: list[str], *, url: str, folder: Path, given: Any = None) -> Any:
    """What the script's last line says, in JSON. It reads `given`, in JSON too."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables(DARLING_URL=url, PYTHONPATH=f"{EXAMPLES}:{SHAPES}"),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def whole_group(
    service: Service, prompt: str, texts: list[str], quality: list[float]
) -> dict[str, Any]:
    """What the service says to the whole group, for comparison."""
    body = {"groups": [{"prompt": prompt, "rollouts": texts, "quality": quality}]}
    with service.client() as http:
        answer = http.post("/v1/rewards", json=body)
    assert answer.status_code == 200, answer.text
    group: dict[str, Any] = answer.json()["groups"][0]
    return group
