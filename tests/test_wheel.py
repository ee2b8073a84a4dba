"""The wheel beside a user's own `models/` and `service/`: neither gets in the other's way."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel installed, and this environment's libraries."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    build = [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = folder.glob("darling_reward-*.whl")
    venv.create(folder / "env")
    python = folder / "env/bin/python"
    (site,) = (folder / "env/lib").glob("python*/site-packages")
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True)
    # A path that stands in a .pth file brings its libraries, but not its own .pth files: what is
    # installed as editable here stays out.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A user's repository with packages of the same names as our folders."""
    for name in ("models", "service"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"WHOSE = 'the user\\'s {name}'\n")
    (tmp_path / "models" / "options.py").write_text("WHOSE = 'the user\\'s options'\n")
    return tmp_path


def run(python: Path, folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": "."}
    command = [str(python), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_scores_a_group(python: Path, repository: Path) -> None:
    group = {
        "prompt": "Name a city worth a visit.",
        "rollouts": [
            "Lisbon, for its light.",
            "Kyoto, for its temples.",
            "Kyoto, for its temples.",
        ],
        "quality": [0.9, 0.8, 0.7],
    }
    (repository / "groups.jsonl").write_text(json.dumps(group) + "\n")
    command = str(python.parent / "darling-reward")
    scored = json.loads(run(python, repository, command, "score", "groups.jsonl", "-"))
    assert scored["partition"] == [0, 1, 1]
    assert scored["rewards"] == pytest.approx([0.9, 0.4, 0.35])


def test_both_import_their_own(python: Path, repository: Path) -> None:
    script = (
        "import models, models.options, service, darling_models.options, darling_service.app; "
        "print(models.WHOSE, models.options.WHOSE, service.WHOSE, sep=';'); "
        "print(darling_service.__file__)"
    )
    whose, ours = run(python, repository, "-c", script).splitlines()
    assert whose.split(";") == ["the user's models", "the user's options", "the user's service"]
    assert Path(ours).is_relative_to(python.parent.parent), "the wheel, not the checkout"


def test_the_console_is_in_the_wheel(python: Path, repository: Path) -> None:
    script = (
        "from pathlib import Path; from darling_service.http.console import ConsoleFiles; "
        "folder = Path(ConsoleFiles().directory); "
        "print(folder, *sorted(p.relative_to(folder) for p in folder.rglob('*.*')), sep='\\n')"
    )
    folder, *files = run(python, repository, "-c", script).splitlines()
    assert Path(folder).is_relative_to(python.parent.parent), "the wheel, not the checkout"
    source = ROOT / "service/console"
    assert files == [str(p.relative_to(source)) for p in sorted(source.rglob("*.*"))]
