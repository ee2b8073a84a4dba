"""Scoring without HTTP: the service's answers, wherever it is called, and the notebook's cells."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

import darling_service
from darling_models.errors import ModelError
from darling_service import Scorer, score_groups
from darling_service.errors import Invalid
from tests.notebooks import read, run

GROUP: dict[str, Any] = {
    "prompt": "Name a city.",
    "rollouts": ["Lisbon.", "Lisbon.", "Kyoto."],
    "quality": [1.0, 0.5, 1.0],
}
NOTEBOOK = Path(__file__).parent.parent / "docs/in_process.ipynb"


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    with Scorer("exact", max_rollouts=8) as scorer:
        yield scorer


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"reward": {"advantage": "centered", "diversity": "share"}},
        {"partition": {"linkage": "single"}, "return_probabilities": True},
        {"reward": {"objective": "quality", "advantage": "poly_epo", "k": 2}},
    ],
)
def test_it_says_what_the_service_says(
    http: httpx.Client, scorer: Scorer, fields: dict[str, Any]
) -> None:
    groups = [GROUP, GROUP | {"rollouts": ["a", "b", "c"], "id": "second"}]
    answer = http.post("/v1/rewards", json={"groups": groups, "model": "exact", **fields}).json()
    for scored, served in zip(scorer.rewards(groups, **fields), answer["groups"], strict=True):
        for name, value in served.items():
            assert getattr(scored, name) == value, name
    bare = [{k: group[k] for k in ("prompt", "rollouts")} for group in groups]
    assert [one.num_classes for one in scorer.partitions(bare)] == [2, 3]


@pytest.mark.parametrize("quality", [np.asarray([1, 0.5, 1.0]), torch.tensor([1, 0.5, 1.0])])
def test_arrays_are_lists(scorer: Scorer, quality: Any) -> None:
    (plain,) = scorer.rewards([GROUP])
    assert scorer.rewards([GROUP | {"quality": quality}]) == [plain]
    assert scorer.rewards(iter([GROUP | {"rollouts": tuple(GROUP["rollouts"])}])) == [plain]


def test_it_is_called_where_a_loop_runs_and_from_threads(scorer: Scorer) -> None:
    async def cell() -> Any:
        return scorer.rewards([GROUP])

    alone = scorer.rewards([GROUP])
    assert asyncio.run(cell()) == alone
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: scorer.rewards([GROUP]), range(8))) == [alone] * 8


def test_what_is_wrong_is_named(scorer: Scorer) -> None:
    with pytest.raises(Invalid, match=r"groups\[0\].rollouts: missing; add it"):
        scorer.rewards([{"prompt": "p"}])
    with pytest.raises(Invalid, match=r"reward.diversity: unknown value; choose one of partition"):
        scorer.rewards([GROUP], reward={"diversity": "entropy"})
    with pytest.raises(Invalid, match="9 rollouts are over max_rollouts = 8"):
        scorer.partitions([{"prompt": "p", "rollouts": ["a"] * 9}])
    with pytest.raises(Invalid, match="many"):
        scorer.rewards([GROUP], many=True)
    with pytest.raises(TypeError, match="object is no JSON"):
        scorer.rewards([GROUP | {"quality": [object()] * 3}])
    with pytest.raises(ModelError, match="unknown model 'nothing'"):
        Scorer("nothing")
    with pytest.raises(ValueError, match="patience is no setting"):
        Scorer("exact", patience=3)


def test_a_closed_scorer_says_so() -> None:
    with Scorer("exact") as scorer:
        pass
    scorer.close()
    with pytest.raises(ValueError, match="the scorer is closed"):
        scorer.rewards([GROUP])


def test_a_script_ends_without_a_word() -> None:
    """The model stays loaded until the interpreter ends, and goes with it."""
    code = (
        "import sys, darling_service\n"
        "assert 'darling_service.pipeline' not in sys.modules\n"
        "from darling_service import score_groups\n"
        f"print(score_groups([{GROUP!r}], model='exact')[0].rewards)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "[0.5, 0.25, 1.0]\n"


def test_a_model_is_loaded_once() -> None:
    assert score_groups([GROUP], model="exact") == score_groups([GROUP], model="exact")
    with pytest.raises(AttributeError, match="no attribute 'score_group'"):
        _ = darling_service.score_group


def test_the_notebook_prints_what_it_shows() -> None:
    notebook = read(NOTEBOOK)
    shown = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(shown), "run `python -m tests.notebooks docs/in_process.ipynb`"
    assert run(notebook) == shown
