"""The reliability plot: what share of pairs given a probability of p are in fact similar."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darling_models.figures.metrics import BINS
from darling_models.protocol import FloatArray


def draw_reliability(
    path: Path, name: str, probabilities: FloatArray, similar: NDArray[np.bool_]
) -> None:
    """Over ten even bins, the number of pairs beside each point."""
    axes = new_axes()
    bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    filled = np.unique(bins)
    mean = [probabilities[bins == b].mean() for b in filled]
    share = [similar[bins == b].mean() for b in filled]
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":", label="calibrated")
    axes.plot(mean, share, marker="o", label=name)
    for x, y, b in zip(mean, share, filled, strict=True):
        axes.annotate(
            str(np.count_nonzero(bins == b)), (x, y), xytext=(4, -10), textcoords="offset points"
        )
    axes.set(
        xlabel="mean probability (number of pairs beside each point)",
        ylabel="share labelled similar",
        title=f"Reliability of {name}",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(loc="upper left")
    save(axes, path)


def new_axes(width: float = 6.0) -> Any:
    from matplotlib.figure import Figure  # of the extra `train`

    return Figure(figsize=(width, 5), layout="constrained").subplots()


def save(axes: Any, path: Path) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    axes.figure.savefig(path, dpi=120)
