"""The command line: wrong values are named with their range, and every command ends one way."""

import shlex
import subprocess
import sys
from argparse import Namespace

import pytest

from darling_service.cli import main as cli
from darling_service.cli.main import COMMANDS, main
from darling_service.cli.numbers import integer, integers, number


@pytest.mark.parametrize(
    ("words", "flag", "message"),
    [
        ("evaluate x --size 0", "--size", "'0' is not an integer at least 1"),
        ("evaluate x --size many", "--size", "'many' is not an integer at least 1"),
        ("evaluate x --k 1,0", "--k", "'0' is not an integer at least 1"),
        ("evaluate x --patience 0", "--patience", "'0' is not a number above 0 and at most 1"),
        ("evaluate x --patience 1.5", "--patience", "'1.5' is not a number above 0 and at most 1"),
        ("evaluate x --vendi-order -1", "--vendi-order", "'-1' is not a number at least 0"),
        ("evaluate x --quality-threshold nan", "--quality-threshold", "a number that is finite"),
        (
            "label i o --judge x --random-share 1.1",
            "--random-share",
            "number at least 0 and at most 1",
        ),
        ("label i o --judge x --judge-threshold 2", "--judge-threshold", "at most 1"),
        ("label i o --judge x --pairs 0", "--pairs", "'0' is not an integer at least 1"),
        ("train --pairs p --out o --keep-aside 1", "--keep-aside", "at least 0 and below 1"),
        ("train --pairs p --out o --folds 1", "--folds", "'1' is not an integer at least 2"),
        ("train --pairs p --out o --seed -1", "--seed", "from 0 to 4294967295"),
        ("train-cross-encoder --pairs p --out o --lora -1", "--lora", "at least 0"),
        ("train-cross-encoder --pairs p --out o --learning-rate 0", "--learning-rate", "above 0"),
        ("evaluate-classifier --pairs p --max-pairs 0", "--max-pairs", "at least 1"),
        (
            "evaluate-classifier --pairs p --threshold high",
            "--threshold",
            "at most 1, or balanced",
        ),
    ],
)
def test_a_wrong_number_is_refused_by_name_with_its_range(
    capsys: pytest.CaptureFixture[str], words: str, flag: str, message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert f"argument {flag}: " in error
    assert message in error


def test_the_ends_of_a_range_belong_to_it_or_not_as_stated() -> None:
    assert integer(1)("1") == 1
    assert integer(0, 5)("5") == 5
    assert integers(1)("1,2,8") == [1, 2, 8]
    assert number(0, 1)("0") == 0
    assert number(0, 1, above=True)("1") == 1
    assert number(0, infinite=True)("inf") == float("inf")
    assert number()("-3.5") == -3.5


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        (ValueError("the line is wrong"), 2, "darling-reward train: the line is wrong\n"),
        (FileNotFoundError(2, "No such file", "x.jsonl"), 2, "No such file: 'x.jsonl'\n"),
        (ImportError("No module named 'peft'"), 2, "type pip install '.[train]'\n"),
        (KeyboardInterrupt(), 130, "darling-reward train: interrupted\n"),
    ],
)
def test_whatever_stops_a_command_is_one_line_and_an_exit_status(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
    status: int,
    message: str,
) -> None:
    def run(arguments: Namespace) -> int:
        raise fault

    monkeypatch.setattr("darling_service.cli.train.run", run)
    assert main(["train", "--pairs", "p", "--out", "o"]) == status
    error = capsys.readouterr().err
    assert error.endswith(message)
    assert error.count("\n") == 1


def test_a_missing_package_of_the_core_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(arguments: Namespace) -> int:
        raise ImportError("no module")

    monkeypatch.setattr("darling_service.cli.models.run", run)
    with pytest.raises(ImportError):
        main(["models"])


def test_a_wrong_setting_in_the_environment_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARLING_MAX_ROLLOUTS", "0")
    assert main(["score", "in", "out"]) == 2
    error = capsys.readouterr().err
    assert "--max-rollouts (DARLING_MAX_ROLLOUTS) is '0': " in error
    assert "greater than 0" in error


@pytest.mark.parametrize("name", [command.NAME for command in COMMANDS])
def test_every_help_has_an_example_that_its_command_accepts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    command = next(command for command in COMMANDS if name == command.NAME)
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"Example:\n  {command.EXAMPLE}" in capsys.readouterr().out
    accepted: list[Namespace] = []

    def accept(command: cli.Command, arguments: Namespace) -> int:
        accepted.append(arguments)
        return 0

    monkeypatch.setattr(cli, "_run", accept)
    program, *words = shlex.split(command.EXAMPLE.partition("\n\n")[0].replace("\\\n", ""))
    assert program == "darling-reward"
    assert main(words) == 0
    assert accepted[0].command == name


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys; from darling_service.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'fastapi', 'transformers'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
