"""Draws the peers' times as multiples of ours, as bars with their range."""

from pathlib import Path

from benchmarks.figures import Figures


def plot(figures: Figures, target: Path) -> None:
    """Writes a PNG to `target`, or nothing where no ratio was measured."""
    ratios = {name: figure for name, figure in figures.items() if figure.unit == "times ours"}
    if not ratios:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    values = [figure.value for figure in ratios.values()]
    spread = [
        [figure.value - figure.low for figure in ratios.values()],
        [figure.high - figure.value for figure in ratios.values()],
    ]
    drawn, axes = pyplot.subplots(figsize=(9, 1 + 0.3 * len(ratios)))
    axes.barh(list(ratios), values, xerr=spread, color="steelblue")
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("seconds, times ours (median, least and most of paired runs)")
    axes.invert_yaxis()
    drawn.tight_layout()
    drawn.savefig(target, dpi=120)
    pyplot.close(drawn)
