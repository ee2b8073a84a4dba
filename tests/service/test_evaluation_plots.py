"""The pictures of an evaluation: ticks, names and legends that can be read."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from darling_models.figures import canvas
from darling_service.evaluation import plots
from darling_service.evaluation.report import Run, report

NAMES = [
    ("base", "ours"),
    ("_base", "price$in$dollars"),
    ("a" * 200, "training-run-with-a-name-of-many-words-seed-17-checkpoint-4000-of-8000-final"),
    ("/data/a/run.jsonl", "/data/b/run.jsonl"),
]


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The axes of each picture by its name, drawn and saved."""
    saved: dict[str, Any] = {}

    def save(drawn: Any, path: Path) -> None:
        canvas.save(drawn, path)
        saved[path.stem] = drawn

    monkeypatch.setattr(plots, "save", save)
    return saved


def run(name: str, ks: tuple[int, ...], **more: float) -> Run:
    rows: list[Mapping[str, float]] = [
        {**{f"pass@{k}": min(1.0, (0.2 + i / 50) * k) for k in ks}, "effective_classes": 2, **more}
        for i in range(12)
    ]
    return Run(name, [f"p{i}" for i in range(12)], rows)


@pytest.mark.parametrize("names", NAMES)
def test_names_are_whole_and_inside_the_picture(
    tmp_path: Path, axes: dict[str, Any], names: tuple[str, str]
) -> None:
    runs = [run(name, (1, 2, 4, 8), quality=0.5) for name in names]
    plots.draw(tmp_path, report(runs, []))
    assert axes.keys() == {"pass_at_k", "frontier"}
    for drawn in axes.values():
        figure = drawn.figure
        figure.canvas.draw()
        (legend,) = figure.legends
        shown = [text.get_text().strip().replace(r"\$", "$") for text in legend.get_texts()]
        for name, text in zip(names, shown, strict=True):
            start, _, end = text.partition("…")
            assert name.startswith(start)
            assert name.endswith(end)
        title = drawn.title.get_text().replace("\n", " ")
        for artist in (legend, drawn.title):
            box, paper = artist.get_window_extent(), figure.bbox.padded(1.0)
            assert paper.x0 <= box.x0 < box.x1 <= paper.x1
            assert paper.y0 <= box.y0 < box.y1 <= paper.y1
        assert names[1][:10] in title.replace(r"\$", "$")


def test_ticks_are_the_tries(tmp_path: Path, axes: dict[str, Any]) -> None:
    plots.draw(tmp_path, report([run("a", (1, 2, 4, 8)), run("b", (1, 2, 4, 8, 16))], []))
    axes["pass_at_k"].figure.canvas.draw()
    labels = [tick.get_text() for tick in axes["pass_at_k"].get_xticklabels()]
    assert labels == ["1", "2", "4", "8", "16"]
    assert not axes["pass_at_k"].get_xticklabels(minor=True)


def test_a_figure_that_one_run_lacks_is_drawn_for_the_other(
    tmp_path: Path, axes: dict[str, Any]
) -> None:
    lacking = run("b", ())
    plots.draw(tmp_path, report([run("a", (1, 2), quality=0.5), lacking], []))
    assert axes.keys() == {"pass_at_k"}
    mixed = [run("a", (1, 2), quality=0.5), run("b", (1, 2))]
    plots.draw(tmp_path, report(mixed, []))
    assert axes["frontier"].get_ylabel() == "pass@1", "the one that both have"
    single = Run("c", ["p"], [{"pass@1": 0.5, "pass@2": math.nan, "effective_classes": 1.0}])
    assert len(plots.draw(tmp_path, report([single], []))) == 2, "without an interval"
