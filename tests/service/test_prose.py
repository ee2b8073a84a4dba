"""Texts that callers read stand alone: no description is a fragment such as "Of the group"."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darling_service.app import create_app
from darling_service.cli.main import COMMANDS, main
from darling_service.http.state import Service
from darling_service.settings import Settings

ROOT = Path(__file__).parents[2]
FRAGMENT = re.compile(r"(Of|In|With|By|For)\b")
SUPERLATIVES = re.compile(r"\b(MOST|FEWEST|LEAST|SOONEST)_")


def texts(document: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of every description and summary in a JSON document."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name in ("description", "summary") and isinstance(value, str):
                yield f"{path}/{name}", value
            else:
                yield from texts(value, f"{path}/{name}")
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from texts(value, f"{path}/{place}")


def test_no_description_of_the_api_is_a_fragment() -> None:
    described = dict(texts(create_app(Service(Settings())).openapi()))
    assert len(described) > 100
    fragments = {path: text for path, text in described.items() if FRAGMENT.match(text)}
    assert fragments == {}


@pytest.mark.parametrize("name", ["", *(command.NAME for command in COMMANDS)])
def test_no_line_of_a_help_is_a_fragment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "10000")  # one line for each flag, whose help follows two spaces
    with pytest.raises(SystemExit):
        main([name, "--help"] if name else ["--help"])
    columns = [text for line in capsys.readouterr().out.splitlines() for text in line.split("  ")]
    assert len(columns) > 10
    assert [text for text in columns if FRAGMENT.match(text)] == []


def test_constants_are_named_for_what_they_limit() -> None:
    files = subprocess.run(
        ["git", "ls-files", "service", "models", "clients/python"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    sources = [ROOT / name for name in files if name.endswith(".py")]
    assert len(sources) > 100
    named = [str(path) for path in sources if SUPERLATIVES.search(path.read_text())]
    assert named == []
