"""The stored requests and answers, as files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

FOLDER = Path(__file__).parent
REQUESTS = FOLDER / "requests.jsonl"
ANSWERS = FOLDER / "answers.jsonl"

SERVERS: dict[str, tuple[str, ...]] = {
    "default": (),
    "answers": ("--model", "answers", "--quality", "label-match", "--cohort-size", "3"),
}
"""Arguments of `darling-reward serve`."""

Answers = dict[str, list[Any]]
"""By an entry's name, the answer to each of its bodies."""


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    path: str
    """With the query."""
    bodies: tuple[Any, ...]
    server: str = "default"

    @property
    def route(self) -> str:
        return urlsplit(self.path).path

    @property
    def said(self) -> list[tuple[str, Any]]:
        """Every name and value in the first body and the query, however deep."""
        query = [
            (name, _json_or_text(value)) for name, value in parse_qsl(urlsplit(self.path).query)
        ]
        return [*query, *_named(query), *_named(self.bodies[0])]

    @property
    def model(self) -> str:
        """The model that answers."""
        return str(dict(self.said).get("model", self.server))

    @property
    def needs_math_verify(self) -> bool:
        return self.server == "answers" or ("quality", "math-verify") in self.said


def read_entries(file: Path = REQUESTS) -> list[Entry]:
    entries = []
    for line in _lines(file):
        bodies = line["bodies"] if "bodies" in line else [line["body"]]
        server = line.get("server", "default")
        entries.append(Entry(line["name"], line["path"], tuple(bodies), server))
    return entries


def read_answers(file: Path = ANSWERS) -> Answers:
    return {line["name"]: line["answers"] for line in _lines(file)} if file.exists() else {}


def write_answers(answers: Mapping[str, Sequence[Any]], file: Path = ANSWERS) -> None:
    """One line each, in the order given."""
    lines = [
        json.dumps({"name": name, "answers": found}, ensure_ascii=False, separators=(",", ":"))
        for name, found in answers.items()
    ]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _lines(file: Path) -> Iterator[Any]:
    # Not splitlines, which would also cut at characters that texts may hold.
    return (json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line)


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple):
        for one in inner:
            yield from _named(one)


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
