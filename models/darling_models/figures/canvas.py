"""Axes of one size and look, their legend, and PNG files."""

from pathlib import Path
from textwrap import fill
from typing import Any

MAX_LABEL = 50
"""Characters of a name in a picture; the middle of a longer one is left out."""
TITLE_COLUMNS = 60
"""Characters in a row of a title, of which a picture of the usual width holds some more."""


def new_axes(width: float = 6.0) -> Any:
    """Axes of a new figure, `width` inches wide, 5 high. Needs matplotlib."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, 5), layout="constrained").subplots()


def label(name: str) -> str:
    """A file's or model's name for a picture, where `$` would be a sign of mathematics and a name
    that begins with `_` would be left out of the legend."""
    if len(name) > MAX_LABEL:
        name = f"{name[: MAX_LABEL // 2]}…{name[1 - MAX_LABEL // 2 :]}"
    return f"{' ' if name.startswith('_') else ''}{name}".replace("$", r"\$")


def title(axes: Any, what: str, source: str) -> None:
    """Writes over the axes what they show, and below that where it comes from."""
    axes.set_title(f"{what}\n{fill(source, TITLE_COLUMNS)}", fontsize=10)


def legend_below(axes: Any, columns: int = 1) -> None:
    """A legend under the axes, where it hides no curve and has room for long names."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8)


def save(axes: Any, path: Path) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    axes.figure.savefig(path, dpi=120)
