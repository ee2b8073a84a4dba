"""Files that commands read: every fault is one line that names file, line, field and cure."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darling_service.cli.main import main
from darling_service.errors import Invalid
from darling_service.schemas.parse import parse
from darling_service.schemas.requests import RewardRequest, Rollout

RECORD: dict[str, Any] = {"prompt": "p", "rollouts": ["a", "b", "c"]}
PAIR: dict[str, Any] = {
    "prompt": "p",
    "generation_0": "a",
    "generation_1": "b",
    "similar": 1,
    "labeler": "Ann",
}
GROUP: dict[str, Any] = {"prompt": "p", "generations": ["a", "b", "c"], "partition": [0, 1, 0]}
BEHAVIOUR: dict[str, Any] = {
    "id": "facts-1",
    "category": "facts",
    "prompt": "p",
    "rollouts": ["a", "b", "c"],
    "classes": [0, 1, 0],
}
OTHER = {**BEHAVIOUR, "id": "facts-2"}


def with_own(name: str, *values: Any) -> dict[str, Any]:
    """A record whose rollouts hold the values under `name`; `...` leaves the field out."""
    return {
        "prompt": "p",
        "rollouts": [
            {"text": "t"} if value is ... else {"text": "t", name: value} for value in values
        ],
    }


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


VERDICTS = [-1, 2, 0.3, "0", "1", "False", "true", "", None, [1], {"correct": 1}]
"""Values that are no verdicts, though some are true and some false for Python."""

RECORDS: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"verdict {value!r}": (
            {**RECORD, "correct": [True, value, False]},
            f"correct[1]: {json.dumps(value)} is not a verdict; write true, false, 1 or 0",
        )
        for value in VERDICTS
    },
    **{
        f"own verdict {value!r}": (
            with_own("correct", 1, value),
            f"rollouts[1].correct: {json.dumps(value)} is not a verdict",
        )
        for value in VERDICTS
    },
    "own verdicts all null": (with_own("correct", None, None), "rollouts[0].correct: null is not"),
    "own quality all null": (with_own("quality", None, None), "rollouts[0].quality: null is not a"),
    **{
        f"null for a list of {name}": (
            {**RECORD, "reference": "7", name: None},
            f"{name}: is null; write one value for each rollout, or leave the field out",
        )
        for name in ("correct", "answers", "quality", "rewards", "partition")
    },
    "no verdict in one rollout": (
        with_own("correct", True, ..., False),
        "rollouts[1].correct: missing; give it in every rollout, or in none",
    ),
    "verdicts all null": ({**RECORD, "correct": [None] * 3}, "correct[0]: null is not a verdict"),
    "one verdict for all": ({**RECORD, "correct": True}, "correct: must hold one value for each"),
    "verdicts too few": ({**RECORD, "correct": [1]}, "correct: must hold one value for each of"),
    "verdicts twice": (
        {**with_own("correct", 1, 0), "correct": [1, 0]},
        "correct: stands here and as correct in the rollouts; drop one of them",
    ),
    "a text as quality": ({**RECORD, "quality": [1, "0.5", 0]}, 'quality[1]: "0.5" is not a num'),
    "a null quality": ({**RECORD, "rewards": [1, None, 0]}, "rewards[1]: null is not a number"),
    "NaN as quality": ({**RECORD, "quality": [1, float("nan"), 0]}, "quality[1]: NaN is not a num"),
    "infinite quality": ({**RECORD, "quality": [float("inf")] * 3}, "quality[0]: Infinity is beyo"),
    "huge quality": ({**RECORD, "quality": [10**400, 0, 0]}, "quality[0]: 1000"),
    "true as quality": ({**RECORD, "quality": [True, 0, 0]}, "quality[0]: true is not a number"),
    "quality in two lists": (
        {**RECORD, "reward_model_scores": [[1.0, 2.0], [1.0], [1.0]]},
        "reward_model_scores[0]: [1.0, 2.0] is not a number",
    ),
    "own quality of one": (with_own("quality", 0.5, ...), "rollouts[1].quality: missing; give it"),
    "an answer that is a list": (
        {**RECORD, "answers": ["7", ["8"], "9"]},
        'answers[1]: ["8"] is not an answer; write a text, a number or null',
    ),
    "a blank reference": (
        {**RECORD, "answers": ["7", "8", "9"], "reference": " "},
        "reference: is blank; write the right answer, or leave the field out",
    ),
    "a list as reference": (
        {**RECORD, "answers": ["7", "8", "9"], "ground_truth": ["7"]},
        'ground_truth: ["7"] is not an answer',
    ),
    "a text as class": ({**RECORD, "partition": [0, "1", 0]}, 'partition[1]: "1" is not the num'),
    "half a class": ({**RECORD, "partition": [0, 0.5, 0]}, "partition[1]: 0.5 is not the number"),
    "a huge class": ({**RECORD, "partition": [0, 2**64, 0]}, "partition[1]: 18446744073709551616"),
    "no rollouts": ({"prompt": "p"}, "rollouts: missing; add it, or one of generations, responses"),
    "an empty list": ({"prompt": "p", "rollouts": []}, "rollouts: [] is not a list with something"),
    "a text for a list": ({"prompt": "p", "responses": "a"}, 'responses: "a" is not a list'),
    "a rollout that is a list": (
        {"prompt": "p", "rollouts": [["a"]]},
        "rollouts[0][0]: not an object; write one in {}",
    ),
    "a rollout without text": ({"prompt": "p", "rollouts": [{}]}, "rollouts[0].text: missing; add"),
    "no prompt": ({"rollouts": ["a"]}, "prompt: missing; add it, or one of question, problem"),
    "a message without a speaker": (
        {**RECORD, "prompt": [{"content": "Hi"}]},
        "prompt[0]: says neither who speaks nor what it is; give role",
    ),
    "a message that is a list": ({**RECORD, "prompt": [[]]}, "prompt[0]: not an object; write"),
    "half a character": ({**RECORD, "rollouts": ["\ud800"]}, "rollouts[0]: contains a lone surrog"),
}
PAIRS: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"similar {value!r}": (
            {**PAIR, "similar": value},
            f"similar: {json.dumps(value)} is not a verdict; write true, false, 1 or 0",
        )
        for value in VERDICTS
    },
    "no verdict": (without(PAIR, "similar"), "similar: missing; add it"),
    "no text": (without(PAIR, "generation_1"), "generation_1: missing; add it"),
    "a null text": (
        {**PAIR, "generation_0": None},
        "generation_0: null is neither a text",
    ),
    "half a character": ({**PAIR, "generation_0": "\udc00"}, "generation_0: contains a lone surro"),
    "a labeler that is a list": ({**PAIR, "labeler": ["Ann"]}, 'labeler: ["Ann"] is not a text'),
    "a message without content": ({**PAIR, "prompt": [{"role": "user"}]}, "prompt[0].content: mis"),
    "a message that is a text": ({**PAIR, "generation_1": ["a"]}, "generation_1[0]: not an object"),
    "text and messages": (
        {**PAIR, "generation_0": {"text": "a", "messages": []}},
        "generation_0.text: text and messages both hold the response; drop one of them",
    ),
    "an unknown rule": ({**PAIR, "compared": "answers"}, "compared: says by which rule label chos"),
    "chosen messages": (
        {**PAIR, "compared": "answer", "generation_0": []},
        "generation_0: [] is not a text",
    ),
}
GROUPS: dict[str, tuple[dict[str, Any], str]] = {
    "half a class": ({**GROUP, "partition": [0, 0.5, 1]}, "partition[1]: 0.5 is not the number of"),
    "a text as class": ({**GROUP, "partition": [0, "1", 1]}, 'partition[1]: "1" is not the number'),
    "classes too few": (
        {**GROUP, "partition": [0, 1]},
        "partition: 2 classes for 3 generations; give one each",
    ),
    "one class": ({**GROUP, "partition": 0}, "partition: 0 is not a list with something in it"),
    "nested classes": ({**GROUP, "partition": [[0], [1], [2]]}, "partition[0]: [0] is not the num"),
    "no generations": ({**GROUP, "generations": []}, "generations: [] is not a list"),
    "a null": (
        {**GROUP, "generations": ["a", None, "b"]},
        "generations[1]: null is neither a text",
    ),
    "a message without a speaker": (
        {**GROUP, "generations": ["a", [{"content": "b"}], "c"]},
        "generations[1][0]: says neither who speaks nor what it is; give role",
    ),
}
BEHAVIOURS: dict[str, tuple[dict[str, Any], str]] = {
    "no id": (without(BEHAVIOUR, "id"), "id: missing; add it"),
    "a number for an id": ({**BEHAVIOUR, "id": 7}, "id: 7 is not a text; write one in quotes"),
    "a blank id": ({**BEHAVIOUR, "id": " "}, 'id: " " shows nothing; write a name'),
    "an id twice": (BEHAVIOUR, "id: 'facts-1' is another group's too; give each group its own"),
    "no category": (without(BEHAVIOUR, "category"), "category: missing; add it"),
    "a blank category": ({**OTHER, "category": ""}, 'category: "" shows nothing; write a name'),
    "no prompt": (without(BEHAVIOUR, "prompt"), "prompt: missing; add it"),
    "no classes": (without(BEHAVIOUR, "classes"), "classes: missing; add it"),
    "classes too few": (
        {**OTHER, "classes": [0, 1]},
        "classes: 2 classes for 3 rollouts; give one each",
    ),
    "a text as class": ({**OTHER, "classes": [0, "1", 1]}, 'classes[1]: "1" is not the number'),
    "rollouts of partitions": (
        {**without(OTHER, "rollouts"), "generations": ["a", "b", "c"]},
        "rollouts: missing; add it",
    ),
    "a rollout without text": ({**OTHER, "rollouts": ["a", {}, "c"]}, "rollouts[1].text: missing"),
    "a message without a speaker": (
        {**OTHER, "rollouts": ["a", [{"content": "b"}], "c"]},
        "rollouts[1][0]: says neither who speaks nor what it is; give role",
    ),
    "one answer in two classes, as messages": (
        {**OTHER, "rollouts": ["a", [{"role": "assistant", "content": "a"}], "c"]},
        "classes[1]: rollouts[0] and rollouts[1] have the same answer and the classes",
    ),
    "one answer in two classes": (
        {**OTHER, "rollouts": ["a", "<think>Or b?</think>a ", "c"], "classes": [0, 1, 2]},
        "classes[1]: rollouts[0] and rollouts[1] have the same answer and the classes 0 and 1; "
        "give them one class",
    ),
}


def refused(arguments: list[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the command ends."""
    assert main([str(word) for word in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def written(path: Path, *rows: dict[str, Any] | str) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines) + "\n")
    return path


def evaluate(folder: Path, *rows: dict[str, Any] | str) -> list[str | Path]:
    return ["evaluate", written(folder / "file.jsonl", *rows), "--model", "exact"]


def evaluate_classifier(folder: Path, *rows: dict[str, Any] | str) -> list[str | Path]:
    return ["evaluate-classifier", "--pairs", written(folder / "file.jsonl", *rows)]


def of_groups(flag: str, command: str) -> Callable[..., list[str | Path]]:
    def arguments(folder: Path, *rows: dict[str, Any] | str) -> list[str | Path]:
        pairs = written(folder / "pairs.jsonl", *[{**PAIR, "similar": k % 2} for k in range(2)])
        more: list[str | Path] = ["--out", folder / "out"] if command.startswith("train") else []
        groups = written(folder / "file.jsonl", *rows)
        return [command, "--pairs", pairs, flag, groups, *more]

    return arguments


def behaviours(folder: Path, *rows: dict[str, Any] | str) -> list[str | Path]:
    return ["evaluate-classifier", "--behaviours", written(folder / "file.jsonl", *rows)]


def train(folder: Path, *rows: dict[str, Any] | str) -> list[str | Path]:
    return ["train", "--pairs", written(folder / "file.jsonl", *rows), "--out", folder / "out"]


def train_cross_encoder(folder: Path, *rows: dict[str, Any] | str) -> list[str | Path]:
    return ["train-cross-encoder", *train(folder, *rows)[1:]]


def label(folder: Path, *rows: dict[str, Any] | str) -> list[str | Path]:
    source = written(folder / "file.jsonl", *rows)
    return ["label", source, folder / "out.jsonl", "--judge", "exact", "--model", "exact"]


def label_onto(folder: Path, *rows: dict[str, Any] | str) -> list[str | Path]:
    target = written(folder / "file.jsonl", *rows)
    source = written(folder / "in.jsonl", RECORD)
    return ["label", source, target, "--judge", "exact", "--model", "exact"]


@pytest.mark.parametrize("fault", RECORDS)
def test_evaluate_names_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    row, message = RECORDS[fault]
    arguments = evaluate(tmp_path, RECORD, "", row, RECORD)
    assert f"{tmp_path / 'file.jsonl'}, line 3: {message}" in refused(arguments, capsys)


@pytest.mark.parametrize("fault", PAIRS)
@pytest.mark.parametrize("command", [evaluate_classifier, train, train_cross_encoder, label_onto])
def test_whoever_reads_pairs_names_what_is_wrong(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: Callable[..., list[str | Path]],
    fault: str,
) -> None:
    row, message = PAIRS[fault]
    arguments = command(tmp_path, PAIR, "", row, PAIR)
    assert f"{tmp_path / 'file.jsonl'}, line 3: {message}" in refused(arguments, capsys)


@pytest.mark.parametrize("fault", BEHAVIOURS)
def test_behaviours_are_checked_before_any_model_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    row, message = BEHAVIOURS[fault]
    arguments = behaviours(tmp_path, BEHAVIOUR, "", row)
    assert f"{tmp_path / 'file.jsonl'}, line 3: {message}" in refused(arguments, capsys)


@pytest.mark.parametrize("fault", GROUPS)
def test_groups_of_a_teacher_are_checked_before_any_model_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    row, message = GROUPS[fault]
    arguments = of_groups("--groups", "evaluate-classifier")(tmp_path, GROUP, "", row)
    assert f"{tmp_path / 'file.jsonl'}, line 3: {message}" in refused(arguments, capsys)


READERS = {
    "evaluate": evaluate,
    "evaluate-classifier": evaluate_classifier,
    "its groups": of_groups("--groups", "evaluate-classifier"),
    "its behaviours": behaviours,
    "its solutions": of_groups("--different", "evaluate-classifier"),
    "its responses": of_groups("--same-problem", "evaluate-classifier"),
    "train": train,
    "train-cross-encoder": train_cross_encoder,
    "label": label,
    "label's output": label_onto,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not valid JSON"),
        ('["prompt", "p"]', "line 2: not a JSON object"),
        ('{"prompt": "p"}', "line 2: "),
    ],
)
def test_every_reader_skips_blank_lines_and_names_the_broken_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reader: str, line: str, message: str
) -> None:
    error = refused(READERS[reader](tmp_path, "", line), capsys)
    assert f"{tmp_path / 'file.jsonl'}, {message}" in error
    assert "Error" not in error


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("line", "place"),
    [
        (r'{"prompt": "\ud800"}', "prompt"),
        (r'{"prompt": "\uDBFFa"}', "prompt"),
        (r'{"prompt": "\udc00\ud800"}', "prompt"),
        (r'{"prompt": [{"role": "user", "content": "a\udfff"}]}', "prompt[0].content"),
        (r'{"x": [{"y": ["\ud83d\ude00", "\ud83d"]}]}', "x[0].y[1]"),
        (r'{"\ud800": 1}', r"\ud800"),
    ],
)
def test_every_reader_names_half_a_character(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reader: str, line: str, place: str
) -> None:
    error = refused(READERS[reader](tmp_path, line), capsys)
    assert f"{tmp_path / 'file.jsonl'}, line 1: {place}: contains a lone surrogate" in error


@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\ufeff", "\u2800", "<s>", "<|im_end|>"])
def test_what_shows_nothing_is_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], blank: str
) -> None:
    row = {**RECORD, "answers": [blank] * 3, "reference": blank}
    error = refused(evaluate(tmp_path, row), capsys)
    assert "line 1: reference: is blank; write the right answer, or leave the field out" in error
    whole = evaluate(tmp_path, {**row, "reference": "7"})
    assert main([*map(str, whole), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["pass@1"]["mean"] == 0


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_says_what_is_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reader: str
) -> None:
    arguments = READERS[reader](tmp_path, "")
    file = tmp_path / "file.jsonl"
    if reader != "label's output":  # which may begin empty
        assert f"{file} is empty" in refused(arguments, capsys)
    file.write_bytes(b"\xff\xfe{\n")
    assert f"{file}, line 1: not UTF-8" in refused(arguments, capsys)
    file.unlink()
    file.mkdir()
    # `evaluate` reads the files of a folder, and there is none in this one.
    said = f"{file}: no file" if reader == "evaluate" else f"Is a directory: '{file}'"
    assert said in refused(arguments, capsys)
    if reader != "label's output":
        file.rmdir()
        assert f"No such file or directory: '{file}'" in refused(arguments, capsys)


@pytest.mark.parametrize("rule", ["answer", "last", "all"])
@pytest.mark.parametrize(
    ("reader", "module"),
    [
        ("train", "darling_models.training.sources"),
        ("train-cross-encoder", "darling_models.training.cross_encoder.command"),
        ("evaluate-classifier", "darling_models.evaluation.command"),
    ],
)
def test_the_rule_of_what_is_compared_reaches_the_readers(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    reader: str,
    module: str,
    rule: str,
) -> None:
    def read(path: Path, text: str, **_: object) -> None:
        raise ValueError(f"{path.name} is read by {text}")

    monkeypatch.setattr(f"{module}.read_pairs", read)
    arguments = READERS[reader](tmp_path, PAIR)
    said = refused([*arguments, *(() if rule == "answer" else ("--text", rule))], capsys)
    assert f"file.jsonl is read by {rule}" in said


def test_a_classifier_is_measured_on_the_texts_that_it_compares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal answers after different thoughts, in texts and messages."""
    thought = [{"role": "assistant", "reasoning_content": "Hm.", "content": "Kyoto."}]
    rows = [
        {**PAIR, "generation_0": "<think>So.</think>Kyoto.", "generation_1": a, "similar": k}
        for k, a in enumerate(["<think>So.</think>Cairo.", thought])
    ]
    arguments = evaluate_classifier(tmp_path, *rows)
    more = ["--model", "exact", "--baselines", "", "--max-lengthened", "0", "--json"]
    accuracies = {}
    for rule in ("answer", "all"):
        assert main([*map(str, arguments), *more, "--text", rule]) == 0
        section = json.loads(capsys.readouterr().out)["sections"][0]
        accuracies[rule] = section["figures"]["exact"]["accuracy"]["value"]
    assert accuracies == {"answer": 1.0, "all": 0.5}


def test_label_reads_what_evaluate_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"prompt": [{"role": "user", "content": "p"}], "rollouts": [{"text": "a"}, {"text": "b"}]}
    assert main([*map(str, label(tmp_path, row)), "--yes"]) == 0
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads(line)["prompt"] == "p"


@pytest.mark.parametrize("value", [True, False, 1, 0, 1.0, *VERDICTS])
def test_requests_read_the_same_verdicts_as_files(value: Any) -> None:
    rollouts = [{"text": "a", "correct": value}, {"text": "b", "correct": True}]
    body = json.dumps({"groups": [{"prompt": "p", "rollouts": rollouts}]}).encode()
    if value in (0, 1):
        rollout = parse(body, RewardRequest).groups[0].rollouts[0]
        assert isinstance(rollout, Rollout)
        assert rollout.correct is bool(value)
    elif value is not None:  # null is the same as no verdict there
        message = f"correct: {json.dumps(value)} is not a verdict; write true, false, 1 or 0"
        with pytest.raises(Invalid, match=re.escape(message)):
            parse(body, RewardRequest)
