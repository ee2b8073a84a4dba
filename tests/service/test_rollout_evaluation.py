"""`darling-reward evaluate`: files in, figures out, two files compared; NoveltyBench reproduced."""

import gzip
import json
import math
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from darling_service.evaluation.measure import Choices, measure
from darling_service.evaluation.metrics import classes
from darling_service.evaluation.partitioning import Classes
from darling_service.evaluation.records import read
from tests.commands import run_command
from tests.texts import essay

DATA = Path(os.environ.get("DARLING_DATA", Path(__file__).parents[3] / "shared" / "data"))
stored = pytest.mark.skipif(
    not (DATA / "math_rollouts.jsonl.gz").exists(), reason="the stored rollouts are not here"
)


def evaluate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_command("evaluate", *arguments, timeout=600)


def rows(better: bool) -> list[dict[str, Any]]:
    """Twelve prompts with four rollouts; the better run has one more right, and more ideas."""
    return [
        {
            "prompt": f"What should town number {k} do with its station?",
            "rollouts": [essay(k + r * better, 12 + r) for r in range(4)],
            "quality": [0.2 + 0.1 * (k % 3), 0.5, 0.4, 0.3],
            "correct": [True, k % 2 == 0, better, False],
            "answers": ["a", "a" if k % 2 == 0 else "b", "a" if better else "c", "d"],
        }
        for k in range(12)
    ]


def write(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return write(folder / "base.jsonl", rows(False)), write(folder / "ours.jsonl", rows(True))


def test_one_table_and_two_pictures_compare_two_files(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    run = evaluate(*files, "--model", "unigram", "--encoder", "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    head, *lines = run.stdout.splitlines()
    names = ["metric", "base", "rows", "ours", "rows", "difference", "p", "prompts"]
    assert head.split() == names
    table = {line.split()[0]: line.split()[1:] for line in lines}
    for name in ("pass@1", "maj@4", "cov@2", "distinct_4", "vendi", "self_bleu", "utility_4"):
        assert name in table
    for picture in ("pass_at_k.png", "frontier.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    document = json.loads((tmp_path / "evaluation.json").read_text())
    first, second = document["metrics"], document["second"]["metrics"]
    assert first["pass@1"]["mean"] == pytest.approx((0.5 + 0.25) / 2)
    assert second["pass@1"]["mean"] == pytest.approx((0.75 + 0.5) / 2)
    gain = document["difference"]["pass@1"]
    assert gain["mean"] == pytest.approx(0.25)
    assert gain["prompts"] == 12
    assert gain["p_value"] < 0.01
    assert second["distinct_4"]["mean"] > first["distinct_4"]["mean"]
    assert second["vendi"]["mean"] > first["vendi"]["mean"]


def test_json_is_all_that_stdout_holds(files: tuple[Path, Path]) -> None:
    run = evaluate(files[0], "--model", "exact", "--json", "--k", "2,3", "--size", "3")
    assert run.returncode == 0, run.stderr
    metrics = json.loads(run.stdout)["metrics"]
    assert {"pass@2", "pass@3", "distinct_3", "utility_3"} <= metrics.keys()
    assert "pass@1" not in metrics
    for name, figure in metrics.items():
        if name == "cov@3":  # no record has three right rollouts
            assert (figure["rows"], figure["mean"], figure["low"]) == (0, None, None)
        else:
            assert figure["low"] <= figure["mean"] <= figure["high"], name
        assert figure["better"] == ("lower" if name == "self_bleu" else "higher")


def test_what_cannot_be_asked_is_told(files: tuple[Path, Path]) -> None:
    many = evaluate(*files, files[0], "--model", "exact")
    assert many.returncode == 2
    assert "3 files; give one, or two to compare" in many.stderr
    large = evaluate(files[0], "--size", "9", "--model", "exact")
    assert large.returncode == 2
    assert "--size is 9, and the smallest record has 4 rollouts" in large.stderr
    tries = evaluate(files[0], "--k", "2,9", "--model", "exact")
    assert tries.returncode == 2
    assert "--k is 9, and the largest record has 4 rollouts" in tries.stderr


def test_a_quality_threshold_needs_quality(files: tuple[Path, Path], tmp_path: Path) -> None:
    bare = write(tmp_path / "bare.jsonl", [{"prompt": "p", "rollouts": ["a", "b"]}])
    run = evaluate(files[0], bare, "--quality-threshold", "0.5", "--model", "exact")
    assert run.returncode == 2
    assert f"--quality-threshold needs the quality of every rollout, and record 1 of {bare}" in (
        run.stderr
    )


def test_spellings_of_columns_are_understood(tmp_path: Path) -> None:
    path = write(
        tmp_path / "maths.jsonl",
        [
            {
                "question": "1 + 1",
                "responses": ["It is 2.", "3"],
                "answers": ["2", "3"],
                "ground_truth": "2",
                "reward_model_scores": [[0.5], [-1.5]],
            },
            {
                "prompt": [{"role": "user", "content": "Hi"}],
                "rollouts": [{"text": "x", "class": 3, "correct": 1}],
            },
        ],
    )
    first, second = read(path)
    assert (first.prompt, first.correct, first.quality) == ("1 + 1", [True, False], [0.5, -1.5])
    assert (second.prompt, second.partition, second.quality) == ("Hi", [3], None)
    assert second.correct == [True]


@stored
def test_noveltybench_utilities_and_classes_are_reproduced() -> None:
    """Each stored utility to 1e-9 from the stored scores, whatever model is loaded: none is."""
    path = DATA / "noveltybench_groups.jsonl.gz"
    choices = Choices(size=10, ks=[1], patience=0.8, vendi_order=1.0, vocabulary=50_000)
    raw = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    checked = 0
    for record, row in zip(read(path), raw, strict=True):
        assert record.partition is not None
        assert classes.distinct(record.partition) == max(row["partition"]) + 1
        if row["generation_scores"] is None:
            continue
        utility = classes.utility(row["generation_scores"], choices.patience)
        assert utility == pytest.approx(row["utility"], abs=1e-9)
        opens = classes.first_of_class(record.partition)
        assert [score > 0 for score in row["generation_scores"]] == opens
        checked += 1
    assert checked > 1600
    stored = raw[0]["partition"]
    values = measure(read(path)[0], Classes(stored, [], stored, True), None, choices)
    assert values["utility_10"] == pytest.approx(raw[0]["utility"], abs=1e-9)
    assert values["distinct_10"] == max(raw[0]["partition"]) + 1


@stored
def test_pass_at_k_of_stored_maths_rollouts() -> None:
    """Against the product form of the estimator, written out here."""
    path = DATA / "math_rollouts.jsonl.gz"
    run = evaluate(path, "--model", "exact", "--json")
    assert run.returncode == 0, run.stderr
    metrics = json.loads(run.stdout)["metrics"]
    raw = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    for k in (1, 2, 4, 8):
        expected = []
        for row in raw:
            n, c = len(row["correct"]), sum(row["correct"])
            fails = 1.0 if n - c >= k else 0.0
            for i in range(n - c + 1, n + 1):
                fails *= 1 - k / i
            expected.append(1 - fails if n - c >= k else 1.0)
        assert metrics[f"pass@{k}"]["mean"] == pytest.approx(sum(expected) / len(raw), abs=1e-12)
    assert not math.isnan(metrics["maj@8"]["mean"])
