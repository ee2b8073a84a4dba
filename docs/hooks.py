"""Makes one site of the repository's documents: those in docs/ and those that they link to.

GitHub shows README.md, CHANGELOG.md, the model card and the examples where they lie, and their
links are relative to that. MkDocs only knows docs/. This hook adds every file that a page links to
and that lies outside docs/, under `repository/` in the site, and rewrites the links. A link that
leads nowhere is left alone, so that `mkdocs build --strict` reports it.
"""

import os
import posixpath
import re
from pathlib import Path
from urllib.parse import urldefrag

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
START = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "THIRD_PARTY_NOTICES.md",
    "clients/python/README.md",
    "examples/README.md",
)
"""Pages of the site from outside docs/ that its navigation names."""
OUTSIDE = "repository/"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s]+)(?=[)\s])")
"""The target of a relative Markdown link or image."""
REMOTE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^>]*>")
CANONICAL = 'rel="canonical"'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds START and whatever pages link to outside docs/, and what those link to in turn."""
    waiting = [file.src_uri for file in files.documentation_pages()]
    for path in START:
        files.append(_outside(path, config))
        waiting.append(OUTSIDE + path)
    while waiting:
        page = waiting.pop()
        for link in LINK.findall(_source(page).read_text()):
            path = _linked(page, link)
            added = OUTSIDE + path
            known = path.startswith("docs/") or files.get_file_from_path(added) is not None
            if not known and not path.startswith("../") and (ROOT / path).is_file():
                files.append(_outside(path, config))
                if path.endswith(".md"):
                    waiting.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between repository files into links between the site's files."""
    here = page.file.src_uri

    def rewritten(match: re.Match[str]) -> str:
        _, fragment = urldefrag(match[0])
        path = _linked(here, match[0])
        target = path.removeprefix("docs/") if path.startswith("docs/") else OUTSIDE + path
        if files.get_file_from_path(target) is None:
            return match[0]
        return posixpath.relpath(target, posixpath.dirname(here)) + (fragment and f"#{fragment}")

    return LINK.sub(rewritten, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuses a page that loads anything from another host: the site works without a network."""
    remote = [tag for tag in REMOTE.findall(output) if CANONICAL not in tag]
    if remote:
        raise PluginError(f"{page.file.src_uri} loads from another host: {remote[0]}")
    return output


def _outside(path: str, config: MkDocsConfig) -> File:
    return File.generated(config, OUTSIDE + path, abs_src_path=os.fspath(ROOT / path))


def _source(page: str) -> Path:
    return ROOT / _in_repository(page)


def _in_repository(page: str) -> str:
    """The repository path of a site page."""
    return page.removeprefix(OUTSIDE) if page.startswith(OUTSIDE) else f"docs/{page}"


def _linked(page: str, link: str) -> str:
    """The repository path that a link on a page leads to, without its fragment."""
    target, _ = urldefrag(link)
    folder = posixpath.dirname(_in_repository(page))
    return posixpath.normpath(posixpath.join(folder, target)) if target else _in_repository(page)
