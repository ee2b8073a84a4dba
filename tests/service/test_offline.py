"""`darling-reward score`: the same answers as HTTP, resumable, nothing lost or repeated."""

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service
from tests.texts import essay


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "darling_service.cli", "score", *arguments]


def score(*arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*arguments), input=stdin, capture_output=True, timeout=300)


def lines(count: int, words: int = 60) -> list[dict[str, Any]]:
    return [
        {
            "id": f"g{k}",
            "prompt": "What should the town do?",
            "generations": [essay(r + k, 5 + (k * 7 + r * 13) % words) for r in range(4)],
            "generation_scores": [1.0, 2.0, -1.0, 0.5],
            "model": "someone's column",
            "partition": [0, 0, 0, 0],
        }
        for k in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


FIELDS = ("--rollouts-field", "generations", "--quality-field", "generation_scores")


def test_a_file_gets_the_answers_of_the_service(service: Service, tmp_path: Path) -> None:
    rows = lines(6)
    write(tmp_path / "in.jsonl.gz", rows)
    options = {"reward": {"advantage": "centered"}, "partition": {"linkage": "single"}}
    run = score(
        *FIELDS,
        "--options",
        json.dumps(options),
        str(tmp_path / "in.jsonl.gz"),
        str(tmp_path / "out.jsonl"),
    )
    assert run.returncode == 0, run.stderr.decode()
    groups = [
        {
            "id": row["id"],
            "prompt": row["prompt"],
            "rollouts": row["generations"],
            "quality": row["generation_scores"],
        }
        for row in rows
    ]
    with service.client() as http:
        answer = http.post("/v1/rewards", json={"groups": groups, **options}).json()
    for number, (found, expected) in enumerate(
        zip(read(tmp_path / "out.jsonl"), answer["groups"], strict=True), start=1
    ):
        assert found.pop("line") == number
        assert found.pop("model") == "{id}@{revision}".format(**answer["model"])
        assert found == expected


def test_killed_in_the_middle_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = lines(150, words=300)
    write(tmp_path / "in.jsonl", rows)
    out = tmp_path / "out.jsonl"
    arguments = (*FIELDS, str(tmp_path / "in.jsonl"), str(out))
    for stop in (signal.SIGKILL, signal.SIGINT):
        before = len(read_complete(out))
        process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while len(read_complete(out)) < before + 10:
            assert process.poll() is None, "interrupted before the end"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(stop)
        process.communicate(timeout=30)
    with out.open("ab") as torn:
        torn.write(b'{"line": 9999, "torn')
    run = score(*arguments)
    assert run.returncode == 0, run.stderr.decode()
    assert [row["line"] for row in read(out)] == list(range(1, 151))
    assert [row["id"] for row in read(out)] == [row["id"] for row in rows]
    size = out.stat().st_size
    assert score(*arguments).returncode == 0
    assert out.stat().st_size == size, "nothing left to do"


def read_complete(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def test_standard_streams_and_lines_that_cannot_be_scored() -> None:
    good = {"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 2]}
    bad = {**good, "quality": [1]}
    odd = [{**good, "rollouts": ["a", "\ud800"]}, {**good, "id": 10**30}]
    text = f"{json.dumps(good)}\n\nnot json\n{json.dumps(bad)}\n[]\n{json.dumps(good)}\n"
    text += "".join(f"{json.dumps(one)}\n" for one in odd)
    run = score("--model", "unigram", "-", "-", stdin=text.encode())
    assert run.returncode == 1
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [answer["line"] for answer in answers] == [1, 3, 4, 5, 6, 7, 8]
    assert [("error" in answer) for answer in answers] == [
        False,
        True,
        True,
        True,
        False,
        True,
        True,
    ]
    assert answers[2]["error"]["errors"][0]["loc"] == ["groups", 0, "quality"]
    assert b"5 lines could not be scored" in run.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{", "not valid JSON"),
        ('{"reward": {"objective": "best"}}', "reward.objective"),
        ('{"groups": []}', "other than groups"),
    ],
)
def test_wrong_options_end_before_anything_is_written(
    tmp_path: Path, options: str, message: str
) -> None:
    out = tmp_path / "out.jsonl"
    run = score("--model", "exact", "--options", options, "-", str(out), stdin=b"")
    assert run.returncode == 2
    assert message in run.stderr.decode()
    assert not out.exists()


def test_a_file_of_another_model_or_of_another_kind_is_not_mixed_with(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", [{"prompt": "", "rollouts": ["a"], "quality": [1]}] * 2)
    out = tmp_path / "out.jsonl"
    assert score("--model", "exact", str(tmp_path / "in.jsonl"), str(out)).returncode == 0
    other = score("--model", "ngram", str(tmp_path / "in.jsonl"), str(out))
    assert other.returncode == 2
    assert b"begun with the model exact@1" in other.stderr
    out.write_text('{"hello": 1}\n')
    foreign = score("--model", "exact", str(tmp_path / "in.jsonl"), str(out))
    assert foreign.returncode == 2
    assert b"not written by this command" in foreign.stderr


def test_a_missing_input_is_told(tmp_path: Path) -> None:
    run = score("--model", "exact", str(tmp_path / "none.jsonl"), str(tmp_path / "out.jsonl"))
    assert run.returncode == 2
    assert b"none.jsonl" in run.stderr
    assert b"Traceback" not in run.stderr


def test_a_damaged_input_is_told(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    write(path, [{"prompt": f"{i}", "rollouts": ["a"], "quality": [1]} for i in range(500)])
    path.write_bytes(path.read_bytes()[:-20])
    run = score("--model", "exact", str(path), str(tmp_path / "out.jsonl"))
    assert run.returncode == 2
    assert b"in.jsonl.gz cannot be unpacked" in run.stderr
    assert b"Traceback" not in run.stderr
