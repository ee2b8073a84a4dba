"""`darling-reward look`: groups in the terminal, by class, whatever the file and the texts hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from darling_service.cli.main import main
from darling_service.looking.group import ShownGroup, ShownRollout

CITY: dict[str, Any] = {
    "id": "city",
    "prompt": "Name a city.",
    "rollouts": ["Lisbon", "Kyoto", "Lisbon"],
    "quality": [0.9, 0.7, 0.5],
}
SHOWN = """city: 3 rollouts in 2 classes, mean diversity 0.67
Name a city.
class  diversity  quality  reward  rollout
    0       0.50     0.90    0.45  [0] Lisbon
    0       0.50     0.50    0.25  [2] Lisbon
    1       1.00     0.70    0.70  [1] Kyoto
nearest the threshold 0.50: [0] and [1], P(equivalent) 0.00, different
"""


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)


def write(folder: Path, *rows: dict[str, Any]) -> str:
    path = folder / "groups.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def look(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints, without the spaces that fill a line."""
    status = main(["look", *words, "--model", "exact"])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return "\n".join(line.rstrip() for line in captured.out.split("\n"))


def test_a_group_is_shown_by_class_with_what_each_rollout_earns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look(capsys, write(tmp_path, CITY)) == f"{SHOWN}\n"


@pytest.mark.parametrize(
    ("change", "header"),
    [
        ({"quality": None, "correct": [1, 0, 1]}, "class  diversity  quality  reward  rollout"),
        ({"quality": None}, "class  diversity  rollout"),
        ({"partition": [7, -1, 7]}, "class  diversity  quality  rollout"),
        ({"partition": [7, -1, 7], "quality": None}, "class  diversity  rollout"),
    ],
)
def test_a_column_stands_there_where_a_line_knows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], header: str
) -> None:
    row = {name: value for name, value in {**CITY, **change}.items() if value is not None}
    shown = look(capsys, write(tmp_path, row)).splitlines()
    assert shown[2] == header
    assert [line.split()[0] for line in shown[3:6]] == ["0", "0", "1"]


def test_a_partition_of_the_file_is_shown_unless_the_model_is_to_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, {**CITY, "partition": [0, 0, 0]})
    collapsed = look(capsys, path)
    assert "3 rollouts in 1 class, mean diversity 0.00" in collapsed
    assert "threshold" not in collapsed
    assert look(capsys, path, "--repartition") == f"{SHOWN}\n"


def test_lines_are_chosen_by_number_and_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"prompt": f"Prompt {k}.", "rollouts": ["a"]} for k in range(1, 20)]
    path = write(tmp_path, *rows)
    assert look(capsys, path).count("1 rollout in 1 class") == 10
    shown = look(capsys, path, "--first", "18", "--count", "5")
    assert [line for line in shown.splitlines() if line.startswith("line")] == [
        "line 18: 1 rollout in 1 class, mean diversity 1.00",
        "line 19: 1 rollout in 1 class, mean diversity 1.00",
    ]


def test_a_terminal_gets_colours_and_a_pipe_gets_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, CITY)
    assert "\x1b" not in look(capsys, path)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm")
    coloured = look(capsys, path)
    assert coloured.count("\x1b[37;48;2;0;114;178m") == 2, "the class of two has a colour"


@pytest.mark.parametrize("flags", [(), ("--full",)])
def test_a_text_writes_nowhere_but_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    """Control characters, and what rich would take for markup, are shown as they are."""
    texts = ["\x1b[2J\x1b]0;owned\x07", "\x9b2J", "[red]fire[/red]", "a\r\x08b", ":smile:"]
    row = {"id": "\x1b[31m", "prompt": "\x1b[1m[bold]", "rollouts": texts}
    shown = look(capsys, write(tmp_path, row), *flags)
    assert not {"\x1b", "\x9b", "\x07", "\x08", "\r"} & set(shown)
    for part in ("␛[2J", "␛[1m[bold]", "[red]fire[/red]", ":smile:"):
        assert part in shown


def test_long_texts_are_cut_unless_all_of_them_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "one\n" * 500 + "the end"
    path = write(tmp_path, {"prompt": "word " * 500 + "last", "rollouts": [text]})
    short = look(capsys, path)
    assert "the end" not in short
    assert "last" not in short
    assert short.count("…") == 2
    full = look(capsys, path, "--full")
    assert "the end" in full
    assert "last" in full
    assert full.count("one\n") == 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no group from line 1 on; choose an earlier one, or another file"),
        ('{"prompt": "p"}\n', "line 1: rollouts: missing; add it"),
        ('\n{"prompt": "p", "rollouts": ["a"], "quality": [1, 2]}', "line 2: quality: must hold"),
        ("nonsense\n", "line 1: not valid JSON"),
        (json.dumps({"prompt": "p", "rollouts": ["a"] * 5000}), "line 1: groups[0].rollouts"),
    ],
)
def test_a_fault_of_the_file_is_one_line_that_names_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    (path := tmp_path / "groups.jsonl").write_text(content)
    assert main(["look", str(path), "--model", "exact"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"darling-reward look: {path}")
    assert message in error
    assert error.count("\n") == 1


def test_the_closest_call_is_the_pair_nearest_the_threshold() -> None:
    rollouts = [ShownRollout(text, 0, 0.0) for text in ("a", "b", "c", "a")]
    matrix = [[1, 0.9, 0.4, 1], [0.9, 1, 0.6, 0.9], [0.4, 0.6, 1, 0.4], [1, 0.9, 0.4, 1]]
    group = ShownGroup("g", "p", rollouts, threshold=0.55, probabilities=matrix)
    assert group.closest_call == (1, 2, 0.6)
    same = ShownGroup("g", "p", rollouts[:1] * 2, threshold=0.99, probabilities=[[1, 1], [1, 1]])
    assert same.closest_call is None, "equal texts are no call of the classifier"
