"""The documentation holds what the code has, and its examples work when copied."""

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from darling_service import __version__
from darling_service.rewards.registry import CHOICES
from darling_service.schemas.reward_options import RewardOptions
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry
from tests.conftest import Service

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
OBJECTIVES = (ROOT / "docs/objectives.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EVERY_DOCUMENT = [*DOCUMENTS, *sorted(ROOT.glob("[!R]*.md")), ROOT / "examples/README.md"]
FOLDERS = ("benchmarks", "clients", "docker", "docs", "models", "service", "tests")
HOMES = {
    **dict.fromkeys(FOLDERS, ROOT),
    "darling_client": ROOT / "clients/python",
    "darling_models": ROOT / "models",
    "darling_service": ROOT / "service",
}
"""Where a path in the documentation starts, by its first folder: a top-level one, or a package."""


@pytest.mark.processor
def test_the_readmes_curl_prints_what_it_says(service: Service) -> None:
    command = re.search(r"curl -s (.+?)\n```", README, re.S)
    assert command is not None
    words = shlex.split(command.group(0).removesuffix("```"))
    words = [word.replace("http://127.0.0.1:8000", service.url) for word in words]
    run = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    group = json.loads(run.stdout)["groups"][0]
    for name in ("partition", "diversity", "rewards"):
        printed = re.search(rf"{name} `(\[.*?\])`", README)
        assert printed is not None
        assert group[name] == pytest.approx(json.loads(printed.group(1)))


def test_every_setting_is_documented_with_its_default() -> None:
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        assert f"| `{name}` | {default} | {field.description} |" in OPERATIONS


def test_every_metric_is_documented() -> None:
    telemetry = Telemetry()
    telemetry.observe_cache(lambda: 0)
    for family in text_string_to_metric_families(telemetry.exposition().decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"| `{name}` | {family.documentation} |" in OPERATIONS


def test_every_reward_option_is_documented() -> None:
    for name, field in RewardOptions.model_fields.items():
        assert f"`{name}" in OBJECTIVES or f'"{name}"' in OBJECTIVES or f"{name}:" in OBJECTIVES
        for choice in re.findall(r"'(\w+)'", re.sub(r"<class '\w+'>", "", str(field.annotation))):
            if choice not in ("all", "none"):
                assert choice in OBJECTIVES, choice
    for terms in CHOICES.values():
        for name in terms:
            assert re.search(rf"^\|.*`(exploration: )?{name}`", OBJECTIVES, re.M), name


def test_links_lead_somewhere() -> None:
    for document in EVERY_DOCUMENT:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_anchors_name_a_heading() -> None:
    for document in DOCUMENTS:
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", document.read_text()):
            page = document.parent / target if target else document
            headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
            slugs = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, f"{document.name}: {target}#{anchor}"


def test_repository_paths_in_backticks_exist() -> None:
    named = [
        (document.name, path)
        for document in DOCUMENTS
        for path in re.findall(r"`([\w.-]+/[\w./*-]*)`", document.read_text())
        if path.partition("/")[0] in HOMES
    ]
    missing = [at for at in named if not list(HOMES[at[1].partition("/")[0]].glob(at[1]))]
    assert named
    assert not missing


def test_changelog_and_package_agree_on_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[(\d[\d.]*)\]", changelog, re.M)
    assert newest is not None
    assert changelog.index("## [Unreleased]") < newest.start()
    assert newest.group(1) == __version__


def test_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    extras = project["optional-dependencies"]
    for requirement in project["dependencies"] + extras["dev"] + extras["docs"]:
        if requirement.startswith("darling-reward["):
            continue
        name = re.split(r"[<>=;\[ ]", requirement)[0].lower()
        assert re.search(rf"^{name}==", pinned, re.M), name
