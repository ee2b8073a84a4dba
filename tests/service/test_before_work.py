"""What keeps a command from its work is said before any of it, in a line with a cure."""

import json
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from darling_models import extras
from darling_models.errors import ModelError
from darling_service.cli.main import main

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

COMMANDS = {
    "evaluate IN": ("sacrebleu", "evaluate"),
    "evaluate IN --out OUT": ("matplotlib", "evaluate"),
    "evaluate-classifier --pairs IN --out OUT": ("matplotlib", "train"),
    "evaluate-classifier --pairs IN --model exact --baselines rouge1": ("rouge-score", "train"),
    "train --pairs IN --out OUT": ("matplotlib", "train"),
    "train --pairs IN --out OUT --tune": ("accelerate", "train"),
    "train-cross-encoder --pairs IN --out OUT": ("accelerate", "train"),
    "train-cross-encoder --pairs IN --out OUT --lora 4": ("peft", "train"),
    "label IN OUT --judge answers --model exact": ("math-verify", "math"),
    "evaluate-classifier --pairs IN --model answers": ("math-verify", "math"),
}


def line(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_package_is_named_with_what_to_type(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    package, extra = COMMANDS[command]
    monkeypatch.setattr(
        extras, "find_spec", lambda name: None if name == package.replace("-", "_") else name
    )
    row: dict[str, Any] = {"prompt": "p", "rollouts": ["a", "b"]}
    row |= {"generation_0": "a", "generation_1": "b", "similar": 1}
    (tmp_path / "in").write_text(json.dumps(row))
    places = {"IN": str(tmp_path / "in"), "OUT": str(tmp_path / "out")}
    error = line(capsys, [places.get(word, word) for word in command.split()])
    assert f"the package {package} is not installed; in the folder of the repository, type" in error
    assert error.endswith(f"pip install '.[{extra}]'\n")
    assert any(requirement.startswith(package) for requirement in EXTRAS[extra])
    assert not (tmp_path / "out").exists()


def test_an_installed_package_is_not_asked_for() -> None:
    extras.require("evaluate", ["json"])
    assert find_spec("nothing_of_the_kind") is None
    with pytest.raises(ModelError, match="the package nothing-of-the-kind is not installed"):
        extras.require("evaluate", ["nothing_of_the_kind"])


def test_no_hint_names_a_distribution_that_is_on_no_index() -> None:
    """A package index might one day have a stranger's package of that name."""
    folders = ("service", "models", "clients", "docs", "examples", "benchmarks", "docker", "tests")
    texts = [path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"]
    for folder in folders:
        texts += [p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".md", ".toml")]
    hint = re.compile(r"(pip|uv) (install|add) \S*darling" + "-reward")
    found = [path for path in texts if hint.search(path.read_text())]
    assert len(texts) > 300
    assert not found


@pytest.mark.parametrize(
    "command",
    [
        "evaluate IN --model exact --out OUT",
        "evaluate-classifier --pairs IN --model exact --baselines minilm --out OUT",
        "train --pairs IN --out OUT",
        "train-cross-encoder --pairs IN --out OUT",
    ],
)
def test_a_folder_that_cannot_be_written_to_is_told_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Not after a training of an hour: the input is not even read."""
    (tmp_path / "out").write_text("a file")
    places = {"IN": str(tmp_path / "missing"), "OUT": str(tmp_path / "out")}
    error = line(capsys, [places.get(word, word) for word in command.split()])
    assert f"File exists: '{tmp_path / 'out'}'" in error


@pytest.mark.parametrize("flag", ["--model", "--judge"])
@pytest.mark.parametrize("name", ["judge:m@http://127.0.0.1:9/v1", "remote:m@http://127.0.0.1:9"])
def test_a_judge_that_is_down_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, name: str
) -> None:
    (tmp_path / "in").write_text(json.dumps({"prompt": "p", "rollouts": ["a", "b"]}))
    models = {"--model": "exact", "--judge": "exact"} | {flag: name}
    words = ["label", str(tmp_path / "in"), str(tmp_path / "out"), "--yes"]
    words += [word for pair in models.items() for word in pair]
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("darling-reward label: ")
    assert "127.0.0.1:9" in error


def test_a_judge_that_is_down_is_told_by_evaluations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = {"prompt": "p", "generation_0": "a", "generation_1": "b", "similar": 1}
    (tmp_path / "pairs").write_text(json.dumps(pair))
    (tmp_path / "groups").write_text(json.dumps({"prompt": "p", "rollouts": ["a", "b"]}))
    name = "judge:m@http://127.0.0.1:9/v1"
    commands: dict[str, list[str]] = {
        "evaluate-classifier": ["--pairs", str(tmp_path / "pairs"), "--baselines", ""],
        "evaluate": [str(tmp_path / "groups")],
    }
    for command, words in commands.items():
        assert main([command, *words, "--model", name]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"darling-reward {command}: ")


@pytest.mark.parametrize(
    "content", ["[]", "7", "null", '"x"', "{", "", '{"data": []}', '{"data": 1}']
)
def test_a_model_without_a_readable_record_of_its_training_may_be_in_sample(
    tmp_path: Path, content: str
) -> None:
    from darling_models.training.seen import trained_on

    (tmp_path / "metrics.json").write_text(content)
    assert trained_on(f"embedded:{tmp_path}") is None


@pytest.mark.parametrize("content", ["[]", "7", "null", "{", ""])
def test_a_damaged_work_folder_is_named(tmp_path: Path, content: str) -> None:
    from darling_models.training.work_folder import MANIFEST, check_manifest

    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(ValueError, match=f"{MANIFEST} is not readable; give another folder"):
        check_manifest(tmp_path, {"seed": 0})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--linkage sngle",
            "is 'sngle': unknown value; choose one of single, average, complete, greedy",
        ),
        ("--linkage 7", "is '7': unknown value; choose one of single, average"),
        ("--runtime float23", "is 'float23': unknown value; choose one of auto, bfloat16"),
        (
            "--judge-domain maths",
            "is 'maths': unknown value; choose one of general, creative",
        ),
    ],
)
def test_an_unknown_value_of_a_flag_is_told_with_those_that_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    error = line(capsys, ["evaluate", str(tmp_path), *words.split()])
    assert f"{words.split()[0]} (DARLING_" in error
    assert message in error


def body(**reward: Any) -> bytes:
    group = {"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 0]}
    return json.dumps({"groups": [group], "reward": reward}).encode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"advantage": "centred"},
            "reward.advantage: unknown value; choose one of centered, grpo, ",
        ),
        ({"objective": "darlin"}, "reward.objective: unknown value; choose one of darling, "),
        ({"normalize": "z"}, "reward.normalize: unknown value; choose one of none, zscore"),
        ({"among": 7}, "reward.among: unknown value; choose one of all, correct, quality"),
        ({"diversity": None}, "reward.diversity: unknown value; choose one of partition, "),
        ({"negative": "x" * 9000}, "reward.negative: unknown value; choose one of sign_aware, as"),
    ],
)
def test_an_unknown_option_of_a_request_is_told_with_those_that_exist(
    options: dict[str, Any], message: str
) -> None:
    from darling_service.errors import Invalid
    from darling_service.schemas.parse import parse
    from darling_service.schemas.requests import RewardRequest

    with pytest.raises(Invalid) as problem:
        parse(body(**options), RewardRequest)
    assert str(problem.value).startswith(message)
    assert "Input should be" not in str(problem.value)
    assert len(str(problem.value)) < 600
