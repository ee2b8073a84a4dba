"""`evaluate --engine ray`: the figures of one process, from files of a folder, gone on with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")
pytest.importorskip("ray.data", reason="needs the extra ray")

import ray

from darling_service.cli.main import main
from darling_service.ray_data.evaluating import CHUNK
from tests.ray.test_offline import groups, write

pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def evaluated(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["evaluate", "--model", "unigram", "--json", *words]) == 0
    return capsys.readouterr().out


def test_figures_are_those_of_one_process_and_are_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, work = tmp_path / "run", tmp_path / "work"
    rows = groups(CHUNK + 20)
    rows[5]["partition"] = [0, 1, 1, 0]
    write(folder / "a.jsonl", rows[:100])
    write(folder / "b.jsonl.gz", rows[100:])
    names = [str(folder)]
    expected = evaluated(capsys, *names)
    on_ray = ("--engine", "ray", "--workers", "2", "--work", f"file://{work}")
    assert evaluated(capsys, *names, *on_ray) == expected

    parts = sorted(work.iterdir())
    assert len(parts) == 2, "a file for each chunk"
    times = [part.stat().st_mtime_ns for part in parts[1:]]
    parts[0].unlink()
    assert evaluated(capsys, *names, *on_ray) == expected
    assert sorted(work.iterdir()) == parts
    assert [part.stat().st_mtime_ns for part in parts[1:]] == times, "what stands is not written"


def test_work_without_ray_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = str(write(tmp_path / "a.jsonl", groups(2)))
    assert main(["evaluate", "--model", "exact", file, "--work", str(tmp_path / "work")]) == 2
    assert "--work is kept by --engine ray alone" in capsys.readouterr().err
