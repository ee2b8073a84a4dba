"""The examples run when copied from examples/README.md, and print what they promise."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from darling_models.labelled_data import read_behaviours, read_pairs
from darling_models.labelling.candidates import read_questions
from darling_service.cli.main import main
from darling_service.evaluation.records import read as read_records
from tests.conftest import Service

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(script: str, data: str, *arguments: str) -> str:
    """What `python examples/SCRIPT examples/DATA ...` prints."""
    command = [sys.executable, str(EXAMPLES / script), str(EXAMPLES / data), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def groups(data: str) -> list[dict[str, list[str]]]:
    return [json.loads(line) for line in (EXAMPLES / data).read_text().splitlines()]


def test_every_rollout_of_a_file_is_scored(service: Service) -> None:
    printed = run("score_file.py", "groups.jsonl", service.url)
    for group in groups("groups.jsonl"):
        for text in group["rollouts"]:
            assert re.search(rf"class \d   quality .*   reward [\d.]+   {re.escape(text)}", printed)


def test_a_repeated_idea_earns_less_than_its_quality(service: Service) -> None:
    printed = run("score_file.py", "groups.jsonl", service.url)
    rows = re.findall(r"quality ([\d.]+)   reward ([\d.]+)   (\S+)", printed)
    kyoto = next(row for row in rows if row[2] == "Kyoto,")
    lisbon = next(row for row in rows if row[2] == "Lisbon,")
    assert kyoto[0] == kyoto[1]
    assert float(lisbon[1]) < float(lisbon[0])


def test_a_file_is_scored_without_http(service: Service) -> None:
    served = run("score_file.py", "groups.jsonl", service.url)
    rows = re.findall(r"class (\d)   quality \S+   reward (\S+)   (.+)", served)
    printed = run("without_http.py", "groups.jsonl")
    assert re.findall(r"class (\d)   reward (\S+)   (.+)", printed) == rows


def test_a_partition_is_shown_with_a_probability_for_every_pair(service: Service) -> None:
    printed = run("look_at_partition.py", "groups.jsonl", service.url)
    for group in groups("groups.jsonl"):
        n = len(group["rollouts"])
        block = printed[printed.index(str(group["prompt"])) :]
        rows = re.findall(r"^ +\[\d\]((?:  \d\.\d\d)+)$", block, re.M)[:n]
        assert [len(row.split()) for row in rows] == [n] * n
        for index, text in enumerate(group["rollouts"]):
            assert f"    [{index}] {text}" in block


def test_a_classifier_of_ones_own_tells_programs_apart() -> None:
    printed = run("own_classifier.py", "solutions.jsonl")
    assert re.findall(r"\[(\d)\] and \[(\d)\]: equivalent", printed) == [("0", "1")]
    assert printed.count("different") == 5


def test_the_readme_names_every_example() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    for script in EXAMPLES.glob("*.py"):
        assert f"[`{script.name}`]({script.name})" in readme
        assert f"python examples/{script.name} examples/" in readme


def shown_line(capsys: pytest.CaptureFixture[str], command: str, begins: str = '{"prompt"') -> str:
    """The line of a file that `darling-reward COMMAND --help` shows, as one line."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    form = rf"^  ({re.escape(begins)}.*?\}})$"
    shown = re.search(form, capsys.readouterr().out, re.M | re.S)
    assert shown is not None
    return json.dumps(json.loads(shown[1])) + "\n"


def test_score_takes_the_line_that_its_help_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(shown_line(capsys, "score"))
    assert main(["score", "--model", "exact", str(file), str(tmp_path / "out.jsonl")]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["rewards"] == [0.9, 0.7]


@pytest.mark.parametrize("command", ["train", "train-cross-encoder", "evaluate-classifier"])
def test_labelled_pairs_are_lines_as_the_help_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(shown_line(capsys, command))
    (pair,) = read_pairs(file)
    assert (pair.similar, pair.labeler) == (False, "Ann")


def test_behaviours_are_lines_as_the_help_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "behaviours.jsonl"
    file.write_text(shown_line(capsys, "evaluate-classifier", '{"id"'))
    (group,) = read_behaviours(file)
    assert (group.category, group.partition.tolist()) == ("cities", [0, 0, 1])


def test_label_and_evaluate_take_the_lines_that_their_help_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "rollouts.jsonl"
    file.write_text(shown_line(capsys, "label"))
    (question,) = read_questions(file, "prompt", "rollouts")
    assert list(question.texts) == ["Lisbon", "Kyoto", "Lisbon, Portugal"]
    file.write_text(shown_line(capsys, "evaluate"))
    (record,) = read_records(file)
    assert list(record.correct or ()) == [True, False]


def test_the_files_are_whole_and_varied() -> None:
    """Each has about 20 prompts; the two runs have the same ones, the held-out pairs others."""
    prompts = {
        path.name: [json.loads(line)["prompt"] for line in path.read_text().splitlines()]
        for path in EXAMPLES.glob("*.jsonl")
        if path.name != "solutions.jsonl"
    }
    assert set(prompts) == {*RUNS, "groups.jsonl", "pairs.jsonl", "pairs_held_out.jsonl"}
    assert all(len(set(lines)) >= 15 for lines in prompts.values())
    assert prompts["before.jsonl"] == prompts["after.jsonl"]
    assert set(prompts["pairs.jsonl"]).isdisjoint(prompts["pairs_held_out.jsonl"])
    for name in ("pairs.jsonl", "pairs_held_out.jsonl"):
        labels = [pair.similar for pair in read_pairs(EXAMPLES / name)]
        assert 0.4 <= sum(labels) / len(labels) <= 0.6
    for name in RUNS:
        for record in read_records(EXAMPLES / name):
            assert record.correct is not None
            assert len(record.texts) == 4


RUNS = ("before.jsonl", "after.jsonl")
