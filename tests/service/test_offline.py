"""`darling-reward score`: the same answers as HTTP, resumable, nothing lost or repeated."""

import gzip
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run_command
from tests.conftest import Service
from tests.texts import essay


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "darling_service.cli", "score", *arguments]


def score(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    return run_command("score", *arguments, stdin=stdin)


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


GOOD: dict[str, Any] = {"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 2]}
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
    assert run.returncode == 0, run.stderr
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
        assert {len(found.pop("input")), len(found.pop("options"))} == {16}
        assert found == expected
    mean = sum(sum(group["diversity"]) / 4 for group in answer["groups"]) / 6
    assert f"6 groups scored, mean diversity {mean:.2f}\n" in run.stderr


def test_killed_in_the_middle_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = lines(60, words=300)
    write(tmp_path / "in.jsonl", rows)
    out = tmp_path / "out.jsonl"
    arguments = (*FIELDS, str(tmp_path / "in.jsonl"), str(out))
    for stop in (signal.SIGKILL, signal.SIGINT):
        before = len(read_complete(out))
        process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while len(read_complete(out)) < before + 10:
            assert process.poll() is None, "interrupted before the end"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(stop)
        process.communicate(timeout=120)
    with out.open("ab") as torn:
        torn.write(b'{"line": 9999, "torn')
    run = score(*arguments)
    assert run.returncode == 0, run.stderr
    assert [row["line"] for row in read(out)] == list(range(1, 61))
    assert [row["id"] for row in read(out)] == [row["id"] for row in rows]
    size = out.stat().st_size
    assert score(*arguments).returncode == 0
    assert out.stat().st_size == size, "nothing left to do"


def read_complete(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def test_standard_streams_and_lines_that_cannot_be_scored() -> None:
    good = dict(GOOD)
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
    assert "5 lines could not be scored" in run.stderr


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
    assert message in run.stderr
    assert not out.exists()


def test_a_file_of_another_model_or_of_another_kind_is_not_mixed_with(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", [{"prompt": "", "rollouts": ["a"], "quality": [1]}] * 2)
    out = tmp_path / "out.jsonl"
    assert score("--model", "exact", str(tmp_path / "in.jsonl"), str(out)).returncode == 0
    other = score("--model", "ngram", str(tmp_path / "in.jsonl"), str(out))
    assert other.returncode == 2
    assert "begun with the model exact@1" in other.stderr
    out.write_text('{"hello": 1}\n')
    foreign = score("--model", "exact", str(tmp_path / "in.jsonl"), str(out))
    assert foreign.returncode == 2
    assert "not written by this command" in foreign.stderr


def small(path: Path, count: int, **changes: Any) -> str:
    """A file of groups that differ by their prompt."""
    write(path, [{**GOOD, "prompt": f"p{k}", **changes} for k in range(count)])
    return str(path)


def exact(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    return score("--model", "exact", *arguments, stdin=stdin)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("fifo", ".jsonl"), ("process substitution", ".jsonl.gz"), ("redirected", ".jsonl.gz")],
)
def test_an_input_that_can_be_read_once_is_scored_whole(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    source, out = small(tmp_path / f"in{suffix}", 500), tmp_path / "out.jsonl"
    run = shlex.join(command("--model", "exact"))
    if kind == "fifo":
        os.mkfifo(tmp_path / "fifo")
        script = f"cat {source} > {tmp_path}/fifo & {run} {tmp_path}/fifo {out}"
    elif kind == "process substitution":
        script = f"{run} <(cat {source}) {out}"
    else:
        script = f"{run} /dev/stdin {out} < {source}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert [row["line"] for row in read(out)] == list(range(1, 501))
    assert b"500 groups scored" in done.stderr


@pytest.mark.parametrize("target", ["/dev/stdout", "/dev/fd/1", "-"])
def test_an_output_that_is_no_file_gets_all_answers(tmp_path: Path, target: str) -> None:
    run = exact(small(tmp_path / "in.jsonl", 3), target)
    assert run.returncode == 0, run.stderr
    assert [json.loads(line)["line"] for line in run.stdout.splitlines()] == [1, 2, 3]


def test_an_empty_input_is_told(tmp_path: Path) -> None:
    run = exact("-", str(tmp_path / "out.jsonl"), stdin=b"\n \n")
    assert run.returncode == 0
    assert "0 groups scored" in run.stderr


def test_lines_with_an_error_are_scored_again_in_their_place(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{**GOOD, "prompt": f"p{k}"} for k in range(150)]
    odd = [{**row, "quality": [1]} if k % 60 == 3 else row for k, row in enumerate(rows)]
    write(source, odd[:100])
    assert exact(str(source), str(out)).returncode == 1
    failed = [row["line"] for row in read(out) if "error" in row]
    assert failed == [4, 64]
    write(source, rows)
    run = exact(str(source), str(out))
    assert run.returncode == 0, run.stderr
    assert "150 groups scored" in run.stderr
    answers = read(out)
    assert [row["line"] for row in answers] == list(range(1, 151))
    assert all(row["rewards"] == [1.0, 2.0] for row in answers)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize("removed", [[4], [4, 5], [0], [9], [0, 4, 5, 9]])
@pytest.mark.parametrize("mended", [True, False])
def test_lines_with_an_error_may_be_removed(
    tmp_path: Path, removed: list[int], mended: bool
) -> None:
    """The answers of the other lines stand; only their numbers change."""
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    bad = {0, 4, 5, 9}
    rows = [{**GOOD, "prompt": f"p{k}", "id": str(k)} for k in range(10)]
    write(source, [{**row, "quality": [1]} if k in bad else row for k, row in enumerate(rows)])
    assert exact(str(source), str(out)).returncode == 1
    stamped = [row | {"stamp": 1} if "error" not in row else row for row in read(out)]
    write(out, stamped)
    left = [k for k in range(10) if k not in removed]
    write(source, [rows[k] | ({} if mended or k not in bad else {"quality": [1]}) for k in left])
    run = exact(str(source), str(out))
    answers = read(out)
    assert [row["line"] for row in answers] == list(range(1, len(left) + 1)), run.stderr
    assert [row["input"] for row in answers if "stamp" in row] == [
        row["input"] for row in stamped if "stamp" in row
    ]
    assert run.returncode == int(not mended and len(removed) < len(bad))


@pytest.mark.parametrize("kept", [[0, 2, 3], [0, 3], [0, 1, 3], [3, 1, 2], [2, 0, 3]])
def test_no_other_line_may_be_removed_beside_one_with_an_error(
    tmp_path: Path, kept: list[int]
) -> None:
    """Line 1 has the error; lines 2 and 3 have answers, and one of them is missing or moved."""
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{**GOOD, "prompt": f"p{k}"} for k in range(4)]
    rows[1]["quality"] = [1]
    write(source, rows)
    assert exact(str(source), str(out)).returncode == 1
    before = out.read_bytes()
    write(source, [rows[k] for k in kept])
    run = exact(str(source), str(out))
    if kept == [0, 2, 3]:
        assert run.returncode == 0
    else:
        assert (run.returncode, out.read_bytes()) == (2, before)
        assert "--overwrite" in run.stderr


@pytest.mark.parametrize(
    "line",
    [
        '{"line":1e999,"input":"a","model":"m","options":"o"}',
        '{"line":NaN,"input":"a","model":"m","options":"o"}',
        '{"line":true,"input":"a","model":"m","options":"o"}',
        '{"line":1,"input":"a","model":"m","options":"o"}',
        '{"line":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"line":1' + "0" * 5000 + "}",
        '{"line":1,"input":"\\ud800"}',
        "[1]",
        "null",
    ],
)
def test_an_output_that_no_run_wrote_is_refused(tmp_path: Path, line: str) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(line + "\n")
    run = exact(small(tmp_path / "in.jsonl", 1), str(out))
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "was not written by this command; choose another OUT" in run.stderr
    assert out.read_text() == line + "\n"


def test_what_keeps_failing_stays_told(tmp_path: Path) -> None:
    source, out = small(tmp_path / "in.jsonl", 3, quality=[1]), tmp_path / "out.jsonl"
    for _ in range(2):
        run = exact(source, str(out))
        assert run.returncode == 1
        assert "3 lines could not be scored" in run.stderr
        assert [row["line"] for row in read(out)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("options", "begun with other options"),
        ("fields", "begun with other options"),
        ("threshold", "begun with other options"),
        ("text", "begun with other options"),
        ("another line", "its line 2 is not the answer of line 2"),
        ("another order", "its line 1 is not the answer of line 1"),
        ("a line more in front", "its line 1 is not the answer of line 1"),
        ("a blank line", "its line 1 is not the answer of line 2"),
        ("fewer lines", "OUT answers more lines than IN has"),
    ],
)
def test_an_output_about_something_else_is_refused_or_overwritten(
    tmp_path: Path, change: str, message: str
) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [{**GOOD, "prompt": f"p{k}"} for k in range(3)]
    write(source, rows)
    assert exact(str(source), str(out)).returncode == 0
    before = out.read_bytes()
    arguments: list[str] = []
    if change == "options":
        arguments = ["--options", '{"reward": {"objective": "diversity"}}']
    elif change == "fields":
        arguments = ["--quality-field", "score"]
    elif change == "threshold":
        arguments = ["--threshold", "0.3"]
    elif change == "text":
        arguments = ["--text", "all"]
    elif change == "another line":
        write(source, [rows[0], {**rows[1], "rollouts": ["a", "c"]}, rows[2]])
    elif change == "another order":
        write(source, rows[::-1])
    elif change == "a line more in front":
        write(source, [GOOD, *rows])
    elif change == "a blank line":
        source.write_bytes(b"\n" + source.read_bytes())
    else:
        write(source, rows[:2])
    run = exact(*arguments, str(source), str(out))
    assert run.returncode == 2
    assert message in run.stderr
    assert "--overwrite" in run.stderr
    assert out.read_bytes() == before
    assert exact(*arguments, "--overwrite", str(source), str(out)).returncode in (0, 1)
    assert out.read_bytes() != before


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    source, out = small(tmp_path / "in.jsonl", 2), tmp_path / "out.jsonl"
    os.mkfifo(tmp_path / "fifo")
    first = subprocess.Popen(
        command("--model", "exact", str(tmp_path / "fifo"), str(out)), stderr=subprocess.PIPE
    )
    with (tmp_path / "fifo").open("wb") as lines:  # the first run waits for its input
        deadline = time.monotonic() + 60
        while not out.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = exact(source, str(out))
        assert second.returncode == 2
        assert "another run is writing" in second.stderr
        lines.write(Path(source).read_bytes())
    assert first.wait(timeout=60) == 0
    first.communicate()
    assert [row["line"] for row in read(out)] == [1, 2]
    assert exact(source, str(out)).returncode == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [("in.jsonl", "the same file"), ("out.jsonl.gz", "without .gz"), ("", "directory")],
)
def test_an_output_that_cannot_be_written_is_told(
    tmp_path: Path, target: str, message: str
) -> None:
    source = small(tmp_path / "in.jsonl", 2)
    run = exact(source, str(tmp_path / target))
    assert run.returncode == 2
    assert message in run.stderr.lower()
    assert "Traceback" not in run.stderr
    assert read(Path(source))[1]["prompt"] == "p1"


def test_a_missing_input_is_told(tmp_path: Path) -> None:
    run = score("--model", "exact", str(tmp_path / "none.jsonl"), str(tmp_path / "out.jsonl"))
    assert run.returncode == 2
    assert "none.jsonl" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_damaged_input_is_told(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    write(path, [{"prompt": f"{i}", "rollouts": ["a"], "quality": [1]} for i in range(500)])
    path.write_bytes(path.read_bytes()[:-20])
    run = score("--model", "exact", str(path), str(tmp_path / "out.jsonl"))
    assert run.returncode == 2
    assert "in.jsonl.gz cannot be unpacked" in run.stderr
    assert "Traceback" not in run.stderr
