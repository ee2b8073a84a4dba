"""CONTRIBUTING.md, followed: its patches apply, and what they add works."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("service/darling_service", "models/darling_models", "docs", "tests")
FILES = ("README.md", "pyproject.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the repository to change."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in FILES:
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def section(title: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found is not None, title
    return found.group(1)


def block(text: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    assert found is not None, language
    return found.group(1)


def python(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(checkout / "service"), str(checkout / "models")]
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def apply_patch(checkout: Path, title: str) -> None:
    """Applies the patch that stands in a section."""
    command = ["git", "apply", "--unidiff-zero", "-"]
    patch = block(section(title), "diff")
    applied = subprocess.run(command, input=patch, cwd=checkout, text=True, capture_output=True)
    assert applied.returncode == 0, applied.stderr


def write_group(checkout: Path, *rollouts: str) -> None:
    group = {"prompt": "Name one.", "rollouts": rollouts, "quality": [1.0, 0.5, 0.8]}
    (checkout / "groups.jsonl").write_text(json.dumps(group) + "\n")


def test_the_example_of_a_classifier(checkout: Path) -> None:
    apply_patch(checkout, "Add a classifier")
    write_group(checkout, "Lisbon, for its light.", "Lisbon, for its hills.", "Kyoto.")
    score = ("-m", "darling_service.cli", "score", "--model", "first-word")
    scored = python(checkout, *score, "groups.jsonl", "-")
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["partition"] == [0, 0, 1]
    refused = python(checkout, *score, "--pair-template", "{a}{b}", "groups.jsonl", "-")
    assert "does not read the setting pair_template" in refused.stderr
    assert "first-word" in python(checkout, "-m", "darling_service.cli", "models").stdout


def test_the_example_of_an_objective(checkout: Path) -> None:
    apply_patch(checkout, "Add an objective")
    write_group(checkout, "A.", "A.", "B.")
    score = ("-m", "darling_service.cli", "score", "--model", "exact", "groups.jsonl", "-")

    scored = python(checkout, *score, "--options", json.dumps({"reward": {"objective": "sole"}}))
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["rewards"] == [0, 0, 0.8]

    reward = {"objective": "sole", "floor": 0.5}
    refused = python(checkout, *score, "--options", json.dumps({"reward": reward}))
    assert "floor belongs to objective" in refused.stderr + refused.stdout

    checks = ("tests/test_docs.py", "tests/service/test_reward_options.py")
    tested = python(checkout, "-m", "pytest", *checks, "-k", "every_reward_option or choice")
    assert tested.returncode == 0, tested.stdout
    assert "sole" in python(checkout, "-m", "pytest", "--collect-only", *checks).stdout
