"""Tables of figures: columns aligned for a terminal, and Markdown."""

from collections.abc import Mapping, Sequence

from darling_models.figures.intervals import Interval


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines, every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def cell(interval: Interval | None, spec: str = ".3f") -> str:
    """A figure and its interval, each number formatted by `spec`; "-" where there is none."""
    return "-" if interval is None else format(interval, spec)


def markdown(report: Mapping[str, Mapping[str, Interval]]) -> str:
    """A row for each set that was measured, with all of its figures in one cell."""
    rows = [
        f"| {name} | {'; '.join(f'{key} {value:.3f}' for key, value in figures.items())} |"
        for name, figures in report.items()
    ]
    return "\n".join(["| set | figures |", "|---|---|", *rows])
