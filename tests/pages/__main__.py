"""Writes what the snippets print now into the pages: `python -m tests.pages [PAGE ...]`.

Look at the difference before you commit it: the pages say what a user is to expect.
"""

import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.conftest import running
from tests.pages.fences import PAGES, snippets
from tests.pages.printed import differs, renewed
from tests.pages.reader import Reader
from tests.pages.world import NAMES


def record(page: Path, url: str) -> bool:
    """Runs the page's snippets and renews its outputs; returns whether the page was changed."""
    text = before = page.read_text()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Reader(Path(folder), url, slow=False, names=NAMES)) as reader,
    ):
        for snippet in snippets(page):
            if snippet.language not in ("sh", "python"):
                continue
            printed = reader.run(snippet)
            if snippet.printed is None or differs(snippet.printed, printed) is None:
                continue
            old = f"{snippet.code}```\n\n```text\n{snippet.printed}```"
            assert old in text, f"{snippet.place}: one blank line stands before the output"
            new = (
                old.removesuffix(f"{snippet.printed}```")
                + f"{renewed(snippet.printed, printed)}```"
            )
            text = text.replace(old, new, 1)
    page.write_text(text)
    return text != before


def main(names: list[str]) -> None:
    pages = [Path(name).resolve() for name in names] or PAGES
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "log") as service:
        for page in pages:
            if record(page, service.url):
                print(f"{page}: renewed", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
