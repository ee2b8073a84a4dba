"""A page in one file: the console's own components, styles and font, with the data that they show.

The modules become `data:` URLs under names that an import map gives them, so that no bundler is
needed. The policy in the page lets nothing else run and nothing be loaded from anywhere.
"""

import base64
import hashlib
import html
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

STYLES = ("vendor/uplot.css", "style.css", "curves.css")
"""The console's styles that a page of curves and groups needs, in order."""
IMPORT = re.compile(r'(\bfrom\s*|\bimport\s*)"(\.{1,2}/[^"]+)"')
"""A static import of another file, as the console's modules and its libraries write it."""
URL = re.compile(r'url\("([^":]+)"\)')
TYPES = {".js": "text/javascript", ".woff2": "font/woff2"}


def page(folder: Path, entry: str, title: str, data: Mapping[str, Any]) -> str:
    """The HTML of the page that the module `entry` of the console's `folder` makes.

    The module finds `data` as JSON in the element `report`.
    """
    names = _imported(folder, entry)
    imports = {_name(name): _module(folder, name) for name in sorted(names - {entry})}
    import_map = _written({"imports": imports})
    script = _with_names((folder / entry).read_text("utf-8"), entry)
    style = "\n".join(_style(folder, name) for name in STYLES)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src data: {_hash(import_map)} {_hash(script)}",
            f"style-src {_hash(style)}",
            "font-src data:",
            "img-src data:",
        )
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
<script type="importmap">{import_map}</script>
</head>
<body>
<div id="app"></div>
<noscript><p class="noscript">The report needs JavaScript.</p></noscript>
<script type="application/json" id="report">{_written(data)}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _imported(folder: Path, entry: str) -> set[str]:
    """The files that a module needs, itself among them, by their paths in the folder."""
    names, rest = {entry}, [entry]
    while rest:
        name = rest.pop()
        needed = {_beside(name, match[2]) for match in IMPORT.finditer(_text(folder, name))}
        rest += needed - names
        names |= needed
    return names


def _module(folder: Path, name: str) -> str:
    return _data_url(name, _with_names(_text(folder, name), name).encode())


def _with_names(text: str, name: str) -> str:
    """The module with names of the import map in place of paths, which `data:` URLs do not have."""
    return IMPORT.sub(lambda match: f'{match[1]}"{_name(_beside(name, match[2]))}"', text)


def _name(path: str) -> str:
    return f"console/{path}"


def _beside(name: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


def _style(folder: Path, name: str) -> str:
    """A style sheet with the files that it names in it."""

    def inlined(match: re.Match[str]) -> str:
        path = _beside(name, match[1])
        return f'url("{_data_url(path, (folder / path).read_bytes())}")'

    return URL.sub(inlined, _text(folder, name))


def _text(folder: Path, name: str) -> str:
    return (folder / name).read_text("utf-8")


def _data_url(name: str, content: bytes) -> str:
    return f"data:{TYPES[Path(name).suffix]};base64,{base64.b64encode(content).decode()}"


def _written(value: Any) -> str:
    """JSON that ends no script element, whatever texts it holds."""
    return orjson.dumps(value).decode().replace("<", "\\u003c")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
