"""Two pictures: success by the number of tries, and quality against variety."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from darling_models.figures.canvas import label, legend_below, new_axes, save, title
from darling_models.figures.intervals import Interval
from darling_service.evaluation.report import Report

QUALITY = ("quality", "pass@1")
VARIETY = ("effective_classes", "class_entropy")

Figures = Mapping[str, Interval]


def draw(folder: Path, report: Report) -> list[Path]:
    """`pass_at_k.png` where correctness is known, and `frontier.png` where quality is.

    Returns what was drawn. A figure that a file does not give is left out of its picture.
    """
    runs = {
        label(run.name): {name: f for name, f in figures.items() if not math.isnan(f.value)}
        for run, figures in zip(report.runs, report.figures, strict=True)
    }
    names = ", ".join(runs)
    drawn = []
    if curves := {name: curve for name, figures in runs.items() if (curve := _curve(figures))}:
        drawn.append(_draw_tries(folder / "pass_at_k.png", names, curves))
    quality, variety = (_known(runs, names) for names in (QUALITY, VARIETY))
    if quality and variety:
        drawn.append(_draw_frontier(folder / "frontier.png", names, runs, quality, variety))
    return drawn


def _draw_tries(path: Path, names: str, curves: Mapping[str, Mapping[int, Interval]]) -> Path:
    axes = new_axes()
    for name, curve in curves.items():
        ks, figures = list(curve), list(curve.values())
        axes.plot(ks, [f.value for f in figures], marker="o", label=name)
        axes.fill_between(ks, [f.low for f in figures], [f.high for f in figures], alpha=0.2)
    ks = sorted({k for curve in curves.values() for k in curve})
    axes.set(xlabel="k", ylabel="pass@k")
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.set_xticks([], minor=True)
    title(axes, "Solved within k tries", names)
    legend_below(axes)
    save(axes, path)
    return path


def _draw_frontier(
    path: Path, names: str, runs: Mapping[str, Figures], quality: str, variety: str
) -> Path:
    axes = new_axes()
    for name, figures in runs.items():
        x, y = figures[variety], figures[quality]
        bars = {"xerr": _bars(x), "yerr": _bars(y)}
        axes.errorbar(x.value, y.value, fmt="o", capsize=3, label=name, **bars)
    axes.set(xlabel=variety.replace("_", " "), ylabel=quality)
    title(axes, "Quality against variety (up and right is better)", names)
    legend_below(axes)
    save(axes, path)
    return path


def _curve(figures: Figures) -> dict[int, Interval]:
    by_k = {int(m[1]): f for name, f in figures.items() if (m := re.fullmatch(r"pass@(\d+)", name))}
    return dict(sorted(by_k.items()))


def _known(runs: Mapping[str, Figures], names: Sequence[str]) -> str | None:
    """The first of the figures that every run gives."""
    return next((n for n in names if all(n in figures for figures in runs.values())), None)


def _bars(figure: Interval) -> list[list[float]] | None:
    """matplotlib's lengths below and above; a bootstrap's may be a hair negative."""
    if math.isnan(figure.low):
        return None
    low, high = figure.value - figure.low, figure.high - figure.value
    return [[max(low, 0.0)], [max(high, 0.0)]]
