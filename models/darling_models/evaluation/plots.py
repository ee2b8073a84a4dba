"""PNG plots of measured pairs: ROC curves, reliability, and the confusion by length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darling_models.evaluation.measures import Mask, MeasuredPairs
from darling_models.figures.canvas import label, legend_below, new_axes, save, title
from darling_models.figures.metrics import roc_auc
from darling_models.figures.reliability import draw_reliability
from darling_models.protocol import FloatArray

OUTCOMES = (
    ("similar, found", "#1b7837"),
    ("different, kept apart", "#7fbf7b"),
    ("similar, missed", "#fdb863"),
    ("different, merged", "#b2182b"),
)


def draw(
    folder: Path,
    overall: MeasuredPairs,
    by_length: Sequence[tuple[str, MeasuredPairs, Mask]],
    source: str,
) -> None:
    """Writes `roc.png`, `reliability.png`, and `confusion_by_length.png` where there are lengths.

    `by_length`: a title, measured pairs, and which of them it is about. `source`: the name of the
    file of pairs.
    """
    axes = new_axes()
    _roc(axes, overall, source)
    save(axes, folder / "roc.png")
    name, scores = next(iter(overall.scores.items()))
    draw_reliability(folder / "reliability.png", name, scores, overall.similar, source)
    if by_length:
        axes = new_axes(width=2 + 1.2 * len(by_length))
        _confusion(axes, by_length, source)
        save(axes, folder / "confusion_by_length.png")


def roc_curve(scores: FloatArray, similar: Mask) -> tuple[FloatArray, FloatArray]:
    """(false positive rate, true positive rate) at each distinct threshold, from (0, 0)."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    hits, misses = np.cumsum(similar[order])[ends], np.cumsum(~similar[order])[ends]
    return np.append(0, misses / max(misses[-1], 1)), np.append(0, hits / max(hits[-1], 1))


def _roc(axes: Any, measured: MeasuredPairs, source: str) -> None:
    for number, (name, scores) in enumerate(measured.scores.items()):
        auc = roc_auc(scores, measured.similar)
        width = 2.5 if number == 0 else 1.2
        curve = roc_curve(scores, measured.similar)
        axes.plot(*curve, linewidth=width, label=f"{label(name)}, AUC {auc:.3f}")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="share of different pairs merged",
        ylabel="share of similar pairs found",
    )
    title(axes, f"ROC of {len(measured.similar)} pairs", label(source))
    legend_below(axes, columns=2)


def _confusion(
    axes: Any, by_length: Sequence[tuple[str, MeasuredPairs, Mask]], source: str
) -> None:
    bottom = np.zeros(len(by_length))
    shares = np.asarray([_outcomes(measured, mask) for _, measured, mask in by_length])
    for k, (outcome, colour) in enumerate(OUTCOMES):
        axes.bar(np.arange(len(by_length)), shares[:, k], 0.7, bottom, color=colour, label=outcome)
        bottom += shares[:, k]
    lengths = [f"{length}\n{np.count_nonzero(mask)}" for length, _, mask in by_length]
    axes.set_xticks(np.arange(len(by_length)), lengths, fontsize=8)
    axes.set(ylabel="share of pairs", xlabel="words of the longer side, and number of pairs")
    name = next(iter(by_length[0][1].scores))
    title(axes, f"Confusion of {label(name)} by length", label(source))
    legend_below(axes, columns=2)


def _outcomes(measured: MeasuredPairs, mask: Mask) -> list[float]:
    name = next(iter(measured.scores))
    said, truly = measured.decisions(name)[mask], measured.similar[mask]
    cells = (said & truly, ~said & ~truly, ~said & truly, said & ~truly)
    return [float(cell.mean()) for cell in cells]
