"""`score` and `evaluate` of several files, folders and patterns, in one process."""

import gzip
import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from darling_service.file_sets import files_to_score
from tests.commands import run_command


def line(k: int) -> dict[str, Any]:
    return {"prompt": f"p{k}", "rollouts": ["a", f"b{k % 2}"], "quality": [1, k]}


def write(path: Path, *numbers: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{json.dumps(line(k))}\n" for k in numbers).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def score(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return run_command("score", "--model", "exact", *words)


def named(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_file_of_a_folder_gets_what_it_gets_alone(tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    write(corpus / "b.jsonl", 1, 2)
    write(corpus / "a/c.jsonl.gz", 3)
    write(corpus / "none.jsonl")
    (corpus / "notes.txt").write_text("not read")
    run = score(corpus, out)
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[-1].startswith("3 groups scored")
    assert named(out) == ["a/c.jsonl", "b.jsonl", "none.jsonl"]
    for source, answers in (("b.jsonl", "b.jsonl"), ("a/c.jsonl.gz", "a/c.jsonl")):
        assert score(corpus / source, tmp_path / "alone.jsonl").returncode == 0
        assert (out / answers).read_bytes() == (tmp_path / "alone.jsonl").read_bytes()
        (tmp_path / "alone.jsonl").unlink()

    write(corpus / "z.jsonl", 4)
    stamped = (out / "b.jsonl").read_bytes().replace(b'"num_classes"', b'"stamp":1,"num_classes"')
    (out / "b.jsonl").write_bytes(stamped)
    assert score(corpus, out).returncode == 0
    assert named(out) == ["a/c.jsonl", "b.jsonl", "none.jsonl", "z.jsonl"]
    assert (out / "b.jsonl").read_bytes() == stamped, "what stands is not scored again"


def test_patterns_and_several_files_keep_their_names(tmp_path: Path) -> None:
    first = write(tmp_path / "in/may/1.jsonl", 1)
    write(tmp_path / "in/june/1.jsonl", 2)
    write(tmp_path / "in/june/2.jsonl.gz", 3)
    assert score(f"{tmp_path}/in/*/1.jsonl", tmp_path / "pattern").returncode == 0
    assert named(tmp_path / "pattern") == ["june/1.jsonl", "may/1.jsonl"]
    several = score(first, tmp_path / "in/june/2.jsonl.gz", tmp_path / "several")
    assert several.returncode == 0, several.stderr
    assert named(tmp_path / "several") == ["1.jsonl", "2.jsonl"]


def test_a_file_may_have_the_name_of_a_pattern(tmp_path: Path) -> None:
    source = write(tmp_path / "run[1].jsonl", 1)
    assert score(source, tmp_path / "out.jsonl").returncode == 0
    assert (tmp_path / "out.jsonl").is_file()


def test_answers_in_the_folder_that_is_scored_are_no_input(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", 1)
    for _ in range(2):
        assert score(tmp_path, tmp_path / "out").returncode == 0
        assert named(tmp_path) == ["a.jsonl", "out/a.jsonl"]


@pytest.mark.parametrize(
    ("sources", "target", "message"),
    [
        (["may", "june"], "out", "would both be answered in"),
        (["*.txt"], "out", "no file to score"),
        (["empty"], "out", "no file to score"),
        (["may/1.jsonl", "june/2.jsonl"], "-", "give IN and OUT names"),
        (["-", "may/1.jsonl"], "out", "give IN and OUT names"),
        (["s3x://bucket/a.jsonl"], "out.jsonl", "Protocol not known"),
        (["file:///a.jsonl"], "out.jsonl", "is a URL; give --engine ray"),
    ],
)
def test_what_cannot_be_scored_is_told(
    tmp_path: Path, sources: list[str], target: str, message: str
) -> None:
    for name in ("may/1.jsonl", "june/1.jsonl.gz", "june/2.jsonl"):
        write(tmp_path / name, 1)
    (tmp_path / "empty").mkdir()
    names = [n if n == "-" or "://" in n else str(tmp_path / n) for n in [*sources, target]]
    run = score(*names)
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_urls_of_an_object_store_name_files() -> None:
    """The store is one in memory, with the rules of paths that those of the clouds have."""
    import fsspec

    store = fsspec.filesystem("memory")
    for name in ("/corpus/b.jsonl.gz", "/corpus/x/a.jsonl", "/corpus/notes.txt"):
        store.pipe_file(name, b"")
    files = files_to_score(["memory://corpus"], "memory://scores/")
    assert [file.source for file in files] == [
        "memory:///corpus/b.jsonl.gz",
        "memory:///corpus/x/a.jsonl",
    ]
    assert [file.target for file in files] == [
        "memory:///scores/b.jsonl",
        "memory:///scores/x/a.jsonl",
    ]
    (one,) = files_to_score(["memory://corpus/*/*.jsonl"], "memory://scores")
    assert one.target == "memory:///scores/x/a.jsonl"


def test_evaluate_takes_a_folder_for_a_file(tmp_path: Path) -> None:
    write(tmp_path / "run/a.jsonl", 1, 2)
    write(tmp_path / "run/b.jsonl.gz", 3)
    write(tmp_path / "run/none.jsonl")
    whole = write(tmp_path / "run.jsonl", 1, 2, 3)
    command = ("evaluate", "--model", "exact", "--json")
    folder, file = (run_command(*command, name) for name in (tmp_path / "run", whole))
    assert folder.returncode == 0, folder.stderr
    assert folder.stdout == file.stdout


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
@pytest.mark.parametrize("words", [("score", "IN", "OUT"), ("evaluate", "IN")])
def test_without_the_extra_the_cure_is_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    names = {"IN": str(write(tmp_path / "in.jsonl", 1)), "OUT": str(tmp_path / "out.jsonl")}
    run = run_command(*(names.get(word, word) for word in words), "--engine", "ray")
    assert run.returncode == 2
    assert "pip install '.[ray]'" in run.stderr
