"""Commands of the documentation that no test runs: why, and what is checked of each instead."""

import argparse
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from unittest.mock import patch

import yaml

from darling_service.cli.main import COMMANDS
from darling_service.cli.settings_flags import add_settings, read_settings
from darling_service.settings import Settings
from tests.pages.fences import ROOT


@dataclass(frozen=True)
class Untried:
    """Commands that `pattern` matches from their start are not run, for `reason`."""

    pattern: str
    reason: str
    check: Callable[[str], None]
    slow: bool = False
    """Whether `make test-slow` runs them all the same."""


def untried(command: str, *, slow: bool = False) -> Untried | None:
    """The first row of the list that names the command; None if the command is to be run."""
    rows = (row for row in LIST if re.match(row.pattern, command))
    return next((row for row in rows if not (slow and row.slow)), None)


def flags_exist(command: str) -> None:
    """The subcommand has every flag and takes every value; settings are in their ranges."""
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    name = words[words.index(next(w for w in words if w.endswith("darling-reward"))) + 1]
    (subcommand,) = (candidate for candidate in COMMANDS if name == candidate.NAME)
    parser = argparse.ArgumentParser(exit_on_error=False)
    subcommand.add_arguments(parser)
    with patch.object(parser, "error", side_effect=_refused(command)):
        arguments = parser.parse_args(words[words.index(name) + 1 :])
    read_settings(arguments)


def _refused(command: str) -> Callable[[str], None]:
    def refuse(message: str) -> None:
        raise AssertionError(f"{command}: {message}")

    return refuse


def module_exists(command: str) -> None:
    """The module that is run exists, and so do its flags."""
    words = shlex.split(command, comments=True)
    module = words[words.index("-m") + 1]
    path = ROOT / module.replace(".", "/")
    file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    assert file.exists(), command
    sources = "".join(source.read_text() for source in file.parent.glob("*.py"))
    for flag in re.findall(r" (--[\w-]+)", command):
        assert f'"{flag}"' in sources, f"{command}: {flag}"


def target_exists(command: str) -> None:
    words = shlex.split(command.partition(" >")[0], comments=True)
    dry = subprocess.run(
        ["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert dry.returncode == 0, f"{command}: {dry.stderr}"


def can_be_installed(command: str) -> None:
    """Each local path holds a project and has the extras. No name is asked of a package index."""
    words = shlex.split(command, comments=True)
    for word in words[words.index("install") + 1 :]:
        if word.startswith("-") or word in FROM_INDEX:
            continue
        assert word.startswith((".", "clients/")), f"{command}: {word} is on no package index"
        path, _, extras = word.partition("[")
        project = tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"]
        for extra in filter(None, extras.rstrip("]").split(",")):
            assert extra in project["optional-dependencies"], f"{command}: {extra}"


FROM_INDEX = {"trl", "requests"}
"""Packages of others that the documentation installs."""


def image_can_be_built(command: str) -> None:
    """Targets, build arguments, settings and files that a docker command names exist."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.M)
    arguments = re.findall(r"^ARG (\w+)", dockerfile, re.M)
    words = shlex.split(command, comments=True)
    for flag, value in pairwise(words):
        if flag == "--target":
            assert value in stages, command
        elif flag == "--build-arg":
            assert value.partition("=")[0] in arguments, command
        elif flag == "-e":
            setting = value.partition("=")[0].removeprefix("DARLING_").lower()
            assert setting in Settings.model_fields, command
        elif flag == "-f":
            yaml.safe_load((ROOT / value).read_text())
        elif flag == "--profile":
            compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
            assert any(value in one["profiles"] for one in compose["services"].values()), command
    for path in re.findall(r"docker/[\w./-]+", command):
        assert (ROOT / path).parent.exists(), command


def chart_takes(command: str) -> None:
    """The chart and the files of values exist, and it has each value that is set."""
    words = shlex.split(command, comments=True)
    chart = ROOT / "docker/helm/darling-reward"
    assert str(chart.relative_to(ROOT)) in words, command
    for flag, value in pairwise(words):
        if flag == "-f":
            assert (ROOT / value).exists(), command
        elif flag == "--set":
            place = yaml.safe_load((chart / "values.yaml").read_text())
            for name in value.partition("=")[0].split("."):
                place = place[name]


def secret_has_the_charts_item(command: str) -> None:
    values = yaml.safe_load((ROOT / "docker/helm/darling-reward/values.yaml").read_text())
    assert f" --from-literal={values['apiKey']['item']}=" in command, command


def names_are_read(command: str) -> None:
    """The variables that are exported are read by the client or the service."""
    sources = [*(ROOT / "clients/python").rglob("*.py"), ROOT / "docker/compose.yaml"]
    text = "".join(source.read_text() for source in sources)
    for name in re.findall(r"([A-Z_]+)=", command):
        setting = name.removeprefix("DARLING_").lower() in Settings.model_fields
        assert setting or name in text, f"{command}: {name}"


def script_takes(command: str) -> None:
    """The script exists and has the flags; the trainer's own tests run it."""
    (script,) = re.findall(r"[\w/]+\.py", command)
    for flag in re.findall(r"(--[\w-]+)", command.partition(script)[2]):
        assert f'"{flag}"' in (ROOT / script).read_text(), command


def evaluation_takes(command: str) -> None:
    """The trainer's own test passes the same flags."""
    source = (ROOT / "tests/trainers/drivers/verifiers_v1_eval.py").read_text()
    for flag in re.findall(r"(--[\w.-]+)", command):
        assert f'"{flag}"' in source, command


PROGRAM = r"(\.venv/bin/)?darling-reward "


def serve_config_takes(command: str) -> None:
    """The module that prints a Serve config file takes the flags, which are settings."""
    words = shlex.split(command.partition(" >")[0], comments=True)
    assert words[2] == "darling_service.cluster.serve_config", command
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_settings(parser, server=True)
    read_settings(parser.parse_args(words[3:]))


LIST = (
    Untried(r"python -m darling_service\.cluster\.", "needs Ray", serve_config_takes),
    Untried(r"(\w+=\S+ )*make ", "installs, serves, or takes minutes to hours", target_exists),
    Untried(PROGRAM + "serve", "serves until it is stopped", flags_exist),
    Untried(PROGRAM + "train", "takes minutes", flags_exist, slow=True),
    Untried(PROGRAM + "evaluate-classifier", "reads what train wrote", flags_exist, slow=True),
    Untried(PROGRAM + r".*(judge:|cross-encoder:|PATH|\bDIR\b)", "needs a model", flags_exist),
    Untried(PROGRAM + ".*--engine ray", "needs Ray; tests/ray runs it", flags_exist),
    Untried("ray job submit ", "needs a Ray cluster", flags_exist),
    Untried(r"(\S*python\S*) -m benchmarks", "measures for minutes to hours", module_exists),
    Untried(r"(\.venv/bin/)?pip install", "changes the environment", can_be_installed),
    Untried(r"docker ", "needs Docker, and a registry of images", image_can_be_built),
    Untried("helm (install|upgrade) ", "needs a cluster", chart_takes),
    Untried("kubectl create secret ", "needs a cluster", secret_has_the_charts_item),
    Untried("(export|printf|chmod) ", "belongs to another machine", names_are_read),
    Untried(r"(DARLING_\w+=\S+ )?(python|torchrun .*) .*trl_grpo", "needs TRL", script_takes),
    Untried("vf-eval ", "needs verifiers", evaluation_takes),
)
