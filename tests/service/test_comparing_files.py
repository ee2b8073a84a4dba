"""Two files compared: what is said of their prompts, and the verdict in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from darling_models.figures.comparison import compare
from darling_service.cli.main import main
from darling_service.evaluation.command import run_names
from darling_service.evaluation.verdict import verdict


def rows(right: int, prompts: int = 12, name: str = "p") -> list[dict[str, Any]]:
    """Records of which each has so many of four rollouts right."""
    texts = ["one", "two", "three", "four"]
    correct = [k < right for k in range(4)]
    return [{"prompt": f"{name}{k}", "rollouts": texts, "correct": correct} for k in range(prompts)]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def evaluate(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    status = main(["evaluate", *map(str, words), "--model", "exact"])
    return status, *capsys.readouterr()


@pytest.mark.parametrize(
    "others",
    [
        rows(2, name="q"),
        rows(2, name="P"),
        [{**row, "prompt": f"{row['prompt']}\u200b"} for row in rows(2)],
        [{**row, "prompt": f"{row['prompt']}\0"} for row in rows(2)],
    ],
)
def test_files_without_a_common_prompt_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], others: list[dict[str, Any]]
) -> None:
    """Said before any model runs, and by the exit status too."""
    first, second = write(tmp_path / "a.jsonl", rows(1)), write(tmp_path / "b.jsonl", others)
    status, out, error = evaluate(capsys, first, second, "--encoder", "embeddings:nowhere")
    assert (status, out) == (2, "")
    assert "a and b have no prompt in common, so nothing can be compared" in error
    assert f"first prompts are 'p0' and {others[0]['prompt']!r}" in error


def test_prompts_that_one_file_lacks_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write(tmp_path / "a.jsonl", rows(1))
    second = write(tmp_path / "b.jsonl", [*rows(2, 10), *rows(2, 3, "q")])
    status, out, _ = evaluate(capsys, first, second)
    assert status == 0
    assert "note: a: 2 of 12 prompts are not in the other file; the comparison leaves" in out
    assert "note: b: 3 of 13 prompts are not in the other file" in out
    (row,) = (line for line in out.splitlines() if line.startswith("pass@1"))
    assert row.split()[-1] == "10"


def test_a_message_and_its_text_are_one_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [{**r, "prompt": [{"role": "user", "content": r["prompt"]}]} for r in rows(2)]
    files = write(tmp_path / "a.jsonl", rows(1)), write(tmp_path / "b.jsonl", messages)
    status, out, _ = evaluate(capsys, *files)
    assert status == 0
    assert "verdict: on 12 shared prompts" in out


SAID = {"role": "user", "content": "x0"}


@pytest.mark.parametrize(
    ("prompt", "same"),
    [
        ("x0 ", True),
        ("\n x0", True),
        ("<s>x0</s>", True),
        ("<|im_start|>user\nx0<|im_end|>\n<|im_start|>assistant\n", True),
        ([SAID], True),
        ([{"role": "system", "content": "Be brief."}, SAID], True),
        ("X0", False),
        ("x 0", False),
        ([SAID, {"role": "assistant", "content": "Which?"}, SAID], False),
    ],
)
def test_prompts_are_the_same_where_the_same_was_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prompt: Any, same: bool
) -> None:
    shared, first = rows(1, 2)
    before = write(tmp_path / "a.jsonl", [shared, {**first, "prompt": "x0"}])
    after = write(tmp_path / "b.jsonl", [shared, {**first, "prompt": prompt}])
    status, out, _ = evaluate(capsys, before, after)
    assert status == 0
    (row,) = (line for line in out.splitlines() if line.startswith("pass@1"))
    assert row.split()[-1] == ("2" if same else "1")


def test_the_table_shows_rows_and_the_direction_of_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """cov@2 needs two right rollouts, which 5 of 12 records have."""
    mixed = [*rows(2, 5), *rows(1, 12)[5:]]
    files = write(tmp_path / "a.jsonl", mixed), write(tmp_path / "b.jsonl", rows(3))
    _, out, _ = evaluate(capsys, *files)
    table = {line.split()[0]: line.split() for line in out.splitlines()}
    assert table["pass@1"][1] == "↑"
    assert table["self_bleu"][1] == "↓"
    assert "5/12" in table["cov@2"]
    assert table["cov@2"][-1] == "5"
    assert table["cov@4"][2:] == ["-", "0/12", "-", "0/12", "-", "-", "0"]
    assert "↑ more is better, ↓ less is better" in out
    assert "* fewer than 10 prompts" in out
    assert "]*" in " ".join(table["cov@2"])
    assert "*" not in " ".join(table["pass@1"])


def test_the_last_line_says_which_file_is_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse, better = write(tmp_path / "a.jsonl", rows(1)), write(tmp_path / "b.jsonl", rows(2))
    for first, second, word in ((worse, better, "better"), (better, worse, "worse")):
        _, out, _ = evaluate(capsys, first, second)
        sentence = out.splitlines()[-1]
        names = (first.stem, second.stem)
        assert sentence.startswith(f"verdict: on 12 shared prompts, {names[1]} is clearly")
        listed = sentence.split(f"clearly {word}")[1].split(";")[0]
        assert "pass@1 (" in listed
        _, out, _ = evaluate(capsys, first, second, "--json")
        assert json.loads(out)["verdict"] == sentence.removeprefix("verdict: ")
    _, out, _ = evaluate(capsys, worse, worse)
    assert f"{worse} differs clearly from {worse} in none of" in out.splitlines()[-1]
    _, out, _ = evaluate(capsys, worse)
    assert "verdict" not in out


def test_a_verdict_by_hand() -> None:
    prompts = [str(k) for k in range(10)]
    low, high = dict.fromkeys(prompts, 0.25), dict.fromkeys(prompts, 0.5)
    comparisons = {
        "pass@1": compare(low, high),
        "self_bleu": compare(low, high),
        "ead": compare(low, low),
    }
    assert verdict("a", "b", comparisons) == (
        "on 10 shared prompts, b is clearly better than a in pass@1 (+0.25); clearly worse in "
        "self_bleu (+0.25); not clearly different in 1. Clear means p < 0.05, which about 1 of 3 "
        "figures reach by chance alone"
    )
    few = {"pass@1": compare(dict.fromkeys("abcde", 0.0), dict.fromkeys("abcde", 1.0))}
    assert verdict("a", "b", few) == (
        "too few prompts to tell: on 5 shared prompts, no p-value can be below 0.0625; compare b "
        "with a on more"
    )
    assert verdict("a", "b", {}).startswith("nothing is compared")


def test_runs_have_different_names(tmp_path: Path) -> None:
    a, b = tmp_path / "a" / "run.jsonl", tmp_path / "b" / "run.jsonl.gz"
    assert run_names([str(a)]) == ["run"]
    assert run_names([str(a), str(b)]) == [str(a), str(b)]
    assert run_names([str(tmp_path / "x.jsonl"), str(b)]) == ["x", "run"]
    assert run_names([str(tmp_path / "v1.5.jsonl")]) == ["v1.5"]
