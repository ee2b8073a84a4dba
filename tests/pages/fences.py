"""The snippets of a page: its fenced blocks, and what is written between backticks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "examples/README.md",
    ROOT / "clients/python/README.md",
]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PRINTS = ("sh", "python")
"""Languages of snippets that can print. A fence `text` after one of them is what it prints."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block, and the block after it if that shows what it prints."""

    language: str
    code: str
    printed: str | None
    place: str
    """Page and line, for messages."""


def snippets(page: Path) -> list[Snippet]:
    """The page's snippets in order; a block of output belongs to the snippet before it."""
    text = page.read_text()
    found = list(FENCE.finditer(text))
    result = []
    for match, after in zip(found, [*found[1:], None], strict=False):
        if match[1] == "text":
            continue
        shows = after is not None and after[1] == "text" and match[1] in PRINTS
        line = text.count("\n", 0, match.start()) + 1
        place = f"{page.relative_to(ROOT)}:{line}"
        result.append(Snippet(match[1], match[2], after[2] if shows and after else None, place))
    return result


def spans(page: Path) -> Iterator[str]:
    """What stands between single backticks on the page, outside its fenced blocks."""
    yield from SPAN.findall(FENCE.sub("", page.read_text()))


def commands(code: str) -> list[str]:
    """The shell commands of a block, each with the lines that its quotes or backslashes span."""
    result: list[str] = []
    waiting = ""
    for line in code.splitlines():
        waiting += line + "\n"
        if waiting.count("'") % 2 == 0 and not line.endswith("\\"):
            command = waiting.strip()
            if command and not command.startswith("#"):
                result.append(command)
            waiting = ""
    assert not waiting, f"a quote is not closed: {waiting}"
    return result
