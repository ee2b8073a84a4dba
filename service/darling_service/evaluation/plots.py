"""Two pictures: success by the number of tries, and quality against variety."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darling_models.figures.intervals import Interval
from darling_models.figures.reliability import new_axes, save
from darling_service.evaluation.report import Report

QUALITY = ("quality", "pass@1")
VARIETY = ("effective_classes", "class_entropy")


def draw(folder: Path, report: Report) -> list[Path]:
    """`pass_at_k.png` where correctness is known, and `frontier.png` where quality is."""
    drawn = []
    names = [run.name for run in report.runs]
    curves = [_curve(figures) for figures in report.figures]
    if all(curves):
        axes = new_axes()
        for name, curve in zip(names, curves, strict=True):
            ks, figures = list(curve), list(curve.values())
            axes.plot(ks, [f.value for f in figures], marker="o", label=name)
            axes.fill_between(ks, [f.low for f in figures], [f.high for f in figures], alpha=0.2)
        axes.set(xlabel="k", ylabel="pass@k", title="Solved within k tries")
        axes.set_xscale("log", base=2)
        drawn.append(_finish(axes, folder / "pass_at_k.png"))
    points = [(_first(f, QUALITY), _first(f, VARIETY)) for f in report.figures]
    if all(quality and variety for quality, variety in points):
        axes = new_axes()
        for name, (quality, variety) in zip(names, points, strict=True):
            assert quality is not None
            assert variety is not None
            axes.errorbar(
                *(variety[1].value, quality[1].value),
                xerr=_bars(variety[1]),
                yerr=_bars(quality[1]),
                fmt="o",
                capsize=3,
                label=name,
            )
            axes.set(xlabel=variety[0].replace("_", " "), ylabel=quality[0])
        axes.set(title="Quality against variety (up and right is better)")
        drawn.append(_finish(axes, folder / "frontier.png"))
    return drawn


def _curve(figures: Mapping[str, Interval]) -> dict[int, Interval]:
    by_k = {int(m[1]): f for name, f in figures.items() if (m := re.fullmatch(r"pass@(\d+)", name))}
    return dict(sorted(by_k.items()))


def _first(figures: Mapping[str, Interval], names: Sequence[str]) -> tuple[str, Interval] | None:
    return next(((name, figures[name]) for name in names if name in figures), None)


def _bars(figure: Interval) -> list[list[float]]:
    """matplotlib's lengths below and above; a bootstrap's may be a hair negative."""
    low, high = figure.value - figure.low, figure.high - figure.value
    return [[max(low, 0.0)], [max(high, 0.0)]]


def _finish(axes: Any, path: Path) -> Path:
    axes.legend()
    save(axes, path)
    return path
