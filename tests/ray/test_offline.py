"""`score --engine ray`: the bytes of one process, whatever happens to the workers."""

import gzip
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra ray")
pytest.importorskip("ray.data", reason="needs the extra ray")

import ray

from darling_service import offline
from darling_service.offline import Scoring
from darling_service.ray_data.cluster import Cluster
from darling_service.ray_data.parts import part_of
from darling_service.ray_data.scoring import score_files
from darling_service.ray_data.shards import SHARD_LINES
from darling_service.settings import Settings
from tests.ray.processes import descendants
from tests.texts import essay

pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("default")]

SETTINGS = Settings(model="unigram")
TWO = Cluster(workers=2)
WAIT_S = 300


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two CPUs on this machine, for all tests here; never a cluster that runs already."""
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def groups(count: int, words: int = 6, start: int = 0) -> list[dict[str, Any]]:
    """Groups that differ by their prompt; with many words they take some time."""
    return [
        {
            "id": f"g{k}",
            "prompt": f"What should town {k} do?",
            "rollouts": [essay(r + k, words + (k * 7 + r * 13) % 5) for r in range(4)],
            "quality": [1.0, 0.1 * (k % 7), -1.0, 0.5],
        }
        for k in range(start, start + count)
    ]


def write(path: Path, rows: list[Any]) -> Path:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def on_ray(
    source: Path | str, target: Path | str, settings: Settings = SETTINGS, **more: Any
) -> int:
    return score_files(Scoring([str(source)], str(target), **more), settings, TWO)


def in_one_process(source: Path, target: Path, settings: Settings = SETTINGS) -> int:
    return offline.score_files(Scoring([str(source)], str(target)), settings)


def test_files_of_a_folder_get_the_bytes_of_one_process_and_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus"
    rows: list[Any] = list(groups(2 * SHARD_LINES + 9))
    rows[3] = "not JSON"
    rows[SHARD_LINES] = ""
    rows[SHARD_LINES + 1] = {**rows[SHARD_LINES + 1], "quality": [1]}
    write(corpus / "many.jsonl", rows)
    write(corpus / "deep/packed.jsonl.gz", groups(20))
    write(corpus / "none.jsonl", [])
    write(corpus / "notes.txt", ["not read"])
    assert in_one_process(corpus, tmp_path / "one") == 1
    said = capfd.readouterr().err
    assert on_ray(corpus, tmp_path / "ray") == 1
    expected = tree(tmp_path / "one")
    assert sorted(expected) == ["deep/packed.jsonl", "many.jsonl", "none.jsonl"]
    assert tree(tmp_path / "ray") == expected
    assert said.strip().splitlines()[-1] in capfd.readouterr().err

    # Lines with an error are mended, a file is added, and another one was begun by one process.
    mended: list[Any] = list(groups(2 * SHARD_LINES + 9))
    mended[SHARD_LINES] = ""
    write(corpus / "many.jsonl", mended)
    write(corpus / "new.jsonl", groups(5, start=40))
    whole = (tmp_path / "ray/deep/packed.jsonl").read_bytes()
    begun = b"".join(whole.splitlines(keepends=True)[:7])
    begun = begun.replace(b'"num_classes"', b'"stamp":1,"num_classes"') + b'{"line":8,"torn'
    (tmp_path / "ray/deep/packed.jsonl").write_bytes(begun)
    assert on_ray(corpus, tmp_path / "ray") == 0
    assert in_one_process(corpus, tmp_path / "one") == 0
    packed = (tmp_path / "ray/deep/packed.jsonl").read_bytes()
    assert packed.count(b'"stamp":1,') == 7, "what stands is not scored again"
    (tmp_path / "ray/deep/packed.jsonl").write_bytes(packed.replace(b'"stamp":1,', b""))
    assert tree(tmp_path / "ray") == tree(tmp_path / "one")


def kill_a_worker(parts: Path, killed: list[int]) -> None:
    """Kills one of the workers as soon as a first part is written."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if (
            parts.exists()
            and any(parts.glob("*.jsonl"))
            and (pids := descendants(os.getpid(), "MapWorker"))
        ):
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])
            return
        time.sleep(0.005)


def scored_twice(tmp_path: Path, count: int, words: int, settings: Settings) -> None:
    """Scores groups once undisturbed and once with a worker killed, and compares the files."""
    source = write(tmp_path / "in.jsonl", groups(count, words))
    assert in_one_process(source, tmp_path / "one.jsonl", settings) == 0
    killed: list[int] = []
    parts = tmp_path / "killed.jsonl.parts"
    killer = threading.Thread(target=kill_a_worker, args=(parts, killed))
    killer.start()
    assert on_ray(source, tmp_path / "killed.jsonl", settings) == 0
    killer.join()
    assert killed
    assert not Path(f"/proc/{killed[0]}").exists(), "the worker is gone"
    expected = (tmp_path / "one.jsonl").read_bytes()
    assert (tmp_path / "killed.jsonl").read_bytes() == expected
    assert on_ray(source, tmp_path / "ray.jsonl", settings) == 0
    assert (tmp_path / "ray.jsonl").read_bytes() == expected
    assert [row["line"] for row in read(tmp_path / "ray.jsonl")] == list(range(1, count + 1))
    assert not parts.exists()


def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    scored_twice(tmp_path, 6 * SHARD_LINES, 40, SETTINGS)


@pytest.mark.soak
def test_twenty_thousand_groups_with_a_worker_killed(tmp_path: Path) -> None:
    scored_twice(tmp_path, 20_000, 6, Settings(model="exact"))


def test_parts_of_a_run_that_was_stopped_are_not_scored_again(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", groups(3 * SHARD_LINES))
    url, out = f"file://{source}", tmp_path / "out/a.jsonl"
    assert in_one_process(source, tmp_path / "one.jsonl") == 0
    whole = (tmp_path / "one.jsonl").read_bytes().splitlines(keepends=True)
    kept = [line.replace(b'"num_classes"', b'"stamp":1,"num_classes"') for line in whole]
    Path(part_of(str(out), 1)).parent.mkdir(parents=True)
    Path(part_of(str(out), 1)).write_bytes(b"".join(kept[SHARD_LINES : 2 * SHARD_LINES]))
    Path(f"{part_of(str(out), 2)}.0.tmp").write_bytes(b"a worker died")
    assert on_ray(url, f"file://{out}") == 0
    expected = whole[:SHARD_LINES] + kept[SHARD_LINES : 2 * SHARD_LINES] + whole[2 * SHARD_LINES :]
    assert out.read_bytes() == b"".join(expected)
    assert [path.name for path in out.parent.iterdir()] == ["a.jsonl"]


def test_an_output_about_something_else_is_refused_or_overwritten(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", groups(3 * SHARD_LINES)), tmp_path / "out.jsonl"
    assert in_one_process(source, out) == 0
    with pytest.raises(ValueError, match=r"begun with other options.*--overwrite"):
        on_ray(source, out, options='{"reward": {"objective": "diversity"}}')
    write(source, groups(3 * SHARD_LINES)[::-1])
    with pytest.raises(ValueError, match=r"answers another file.*--overwrite"):
        on_ray(source, out)
    assert on_ray(source, out, overwrite=True) == 0
    assert [row["id"] for row in read(out)] == [f"g{k}" for k in range(3 * SHARD_LINES)][::-1]


@pytest.mark.parametrize(
    ("source", "ray_cluster", "message"),
    [
        ("mistyped.jsonl", TWO, "No such file"),
        ("in.jsonl", Cluster(worker_cpus=99), "lower --worker-cpus"),
    ],
)
def test_what_is_mistyped_beside_overwrite_is_told_and_loses_no_answers(
    tmp_path: Path, source: str, ray_cluster: Cluster, message: str
) -> None:
    write(tmp_path / "in.jsonl", groups(2))
    (tmp_path / "out.jsonl").write_text("answers")
    scoring = Scoring([str(tmp_path / source)], str(tmp_path / "out.jsonl"), overwrite=True)
    with pytest.raises((ValueError, OSError), match=message):
        score_files(scoring, SETTINGS, ray_cluster)
    assert (tmp_path / "out.jsonl").read_text() == "answers"


@pytest.mark.parametrize(
    ("source", "target", "options", "message"),
    [
        ("-", "out.jsonl", "{}", "give IN and OUT names"),
        ("in.jsonl", "-", "{}", "give IN and OUT names"),
        ("in.jsonl", "in.jsonl", "{}", "the same file"),
        ("in.jsonl", "out.jsonl.gz", "{}", "without .gz"),
        ("in.jsonl", "", "{}", "is a folder"),
        ("*.txt", "out", "{}", "no file to score"),
        (
            "in.jsonl",
            "out.jsonl",
            '{"reward": {"exploration": "visits", "outcome": "answer"}, "run": {"id": "r"}}',
            "leave --engine ray out",
        ),
    ],
)
def test_what_ray_cannot_do_is_told_before_any_work(
    tmp_path: Path, source: str, target: str, options: str, message: str
) -> None:
    write(tmp_path / "in.jsonl", groups(1))
    names = [name if name == "-" else str(tmp_path / name) for name in (source, target)]
    with pytest.raises(ValueError, match=message):
        on_ray(names[0], names[1], options=options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_what_keeps_a_file_from_being_scored_is_told(tmp_path: Path) -> None:
    torn = write(tmp_path / "torn.jsonl.gz", groups(500))
    torn.write_bytes(torn.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"torn.jsonl.gz cannot be unpacked"):
        on_ray(torn, tmp_path / "out.jsonl")
    with pytest.raises(ValueError, match="No such file"):
        on_ray(tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
