"""The reliability plot: what share of pairs given a probability of p are in fact similar."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darling_models.figures.canvas import label, legend_below, new_axes, save, title
from darling_models.figures.metrics import BINS
from darling_models.protocol import FloatArray


def draw_reliability(
    path: Path, name: str, probabilities: FloatArray, similar: NDArray[np.bool_], source: str
) -> None:
    """Over ten even bins, the number of pairs beside each point. `source`: the pairs' file."""
    axes = new_axes()
    bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    filled = np.unique(bins)
    mean = [probabilities[bins == b].mean() for b in filled]
    share = [similar[bins == b].mean() for b in filled]
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":", label="calibrated")
    axes.plot(mean, share, marker="o", label=label(name))
    for x, y, b in zip(mean, share, filled, strict=True):
        axes.annotate(
            str(np.count_nonzero(bins == b)), (x, y), xytext=(5, 5), textcoords="offset points"
        )
    axes.set(
        xlabel="mean probability (number of pairs beside each point)",
        ylabel="share labelled similar",
        xlim=(-0.03, 1.06),
        ylim=(-0.03, 1.06),
    )
    title(axes, f"Reliability of {label(name)}", label(source))
    legend_below(axes, columns=2)
    save(axes, path)
