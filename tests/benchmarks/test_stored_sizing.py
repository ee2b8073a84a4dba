"""The costs in the table are those of the stored run, and predict runs that no fit has seen."""

from dataclasses import astuple
from pathlib import Path

import pytest

from benchmarks.figures import read
from benchmarks.stored_sizing import FITTED, PREDICTED, costs, predictions
from darling_service.sizing.processors import PROCESSORS

BASELINE = Path(__file__).parents[2] / "benchmarks/baseline.json"


def test_runs_that_were_not_fitted_are_predicted_within_a_quarter() -> None:
    machine, figures = read(BASELINE)
    assert not {run.figure for run in FITTED} & {run.figure for run in PREDICTED}
    found = predictions(figures, machine["cores"])
    assert len(found) == 4
    for figure, (predicted, measured) in found.items():
        assert predicted == pytest.approx(measured, rel=0.25), figure


def test_the_table_has_the_costs_of_the_stored_run() -> None:
    machine, figures = read(BASELINE)
    encoder, pairs = costs(figures, machine["cores"])
    row = PROCESSORS["avx512-bf16"]
    assert row.encoder is not None
    assert astuple(row.encoder) == pytest.approx(astuple(encoder), rel=0.01)
    assert astuple(dict(row.cross_encoders)["minilm"]) == pytest.approx(astuple(pairs), rel=0.01)
