"""`darling-reward label`: uncertain pairs, a cost first, nothing lost and nothing repeated."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darling_models.keys import pair_key
from darling_models.labelled_data import read_pairs
from darling_models.labelling.candidates import Candidate, in_order_of_use, read_questions
from darling_models.labelling.command import TOKENS_OUT, cost
from darling_models.lexical import Unigram
from darling_models.pairs import PairResult
from darling_models.protocol import ONE_PAIR, FloatArray, IntArray, Plan, Unit, classify
from darling_service.cli.main import main
from tests.commands import run_command
from tests.texts import essay


def write_groups(path: Path, count: int, words: int = 40) -> Path:
    rows = [
        {
            "prompt": f"What should town {k} do?",
            "rollouts": [essay(k + r, words + (k * 7 + r * 13) % words) for r in range(5)],
        }
        for k in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def command(groups: Path, out: Path, *arguments: str) -> list[str]:
    chosen = ("--judge", "unigram", "--model", "ngram", *arguments)
    return ["label", str(groups), str(out), *chosen]


def label(groups: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command(*command(groups, out, *arguments))


def keys(path: Path) -> list[bytes]:
    return [pair_key(pair.prompt, pair.a, pair.b) for pair in read_pairs(path)]


def test_nothing_is_asked_before_the_cost_is_accepted(tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "groups.jsonl", 4)
    run = label(groups, tmp_path / "out.jsonl", "--pairs", "25")
    assert run.returncode == 0
    assert "40 distinct pairs, 0 of them labelled already" in run.stdout
    assert "25 pairs to label" in run.stdout
    assert "--yes" in run.stdout
    assert not (tmp_path / "out.jsonl").exists()


def test_train_reads_what_is_written(tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "groups.jsonl", 4)
    out = tmp_path / "out.jsonl"
    assert label(groups, out, "--pairs", "25", "--yes").returncode == 0
    pairs = read_pairs(out)
    assert len(pairs) == len(set(keys(out))) == 25
    assert {pair.labeler for pair in pairs} == {"unigram@1"}
    for pair in pairs:
        found = classify(Unigram(), pair.prompt, (pair.a, pair.b), ONE_PAIR)[0]
        assert pair.similar == (found > Unigram.baseline.threshold)


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "groups.jsonl", 300)
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert label(groups, whole, "--pairs", "3000", "--yes").returncode == 0
    arguments = command(groups, out, "--pairs", "3000", "--yes")
    process = subprocess.Popen(
        [sys.executable, "-m", "darling_service.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not out.exists() or out.stat().st_size == 0:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    stopped = out.read_bytes()
    assert 0 < len(stopped) < whole.stat().st_size, "killed before the end"
    with out.open("ab") as torn:
        torn.write(b'{"prompt": "torn')
    run = run_command(*arguments)
    assert run.returncode == 0, run.stderr
    assert out.read_bytes() == whole.read_bytes(), "the same labels in the same order"
    assert label(groups, out, "--pairs", "3000", "--yes").returncode == 0
    assert out.read_bytes() == whole.read_bytes(), "nothing left to do"


def test_asking_for_more_adds_to_what_is_there(tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "groups.jsonl", 4)
    out = tmp_path / "out.jsonl"
    label(groups, out, "--pairs", "10", "--yes")
    first = out.read_bytes()
    label(groups, out, "--pairs", "30", "--yes")
    assert out.read_bytes().startswith(first)
    assert len(set(keys(out))) == len(keys(out)) == 30


def test_uncertain_pairs_come_first_and_random_ones_among_them(tmp_path: Path) -> None:
    questions = read_questions(write_groups(tmp_path / "groups.jsonl", 8), "prompt", "rollouts")
    model = Unigram()

    def distance(candidate: Candidate) -> float:
        found = classify(model, candidate.prompt, (candidate.a, candidate.b), ONE_PAIR)[0]
        return abs(float(found) - model.info.threshold)

    sure = [distance(candidate) for candidate in in_order_of_use(model, questions, 0.0, 0)]
    assert len(sure) == 80
    assert sure == sorted(sure)
    mixed = in_order_of_use(model, questions, 0.25, 0)
    assert sorted(map(distance, mixed)) == sure, "every pair once"
    uncertain = [distance(candidate) for place, candidate in enumerate(mixed) if place % 4 != 3]
    assert uncertain == sorted(uncertain)
    assert mixed == in_order_of_use(model, questions, 0.25, 0)
    assert mixed != in_order_of_use(model, questions, 0.25, 1)


class Caller(Unigram):
    """A unigram judge that calls once a pair, as a language model would, and may fail."""

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        units = [
            Unit(f"{prompt} {texts[i]} {texts[j]}".encode(), (texts[i], texts[j]), tokens=100)
            for i, j in pairs.tolist()
        ]
        return Plan(units, np.arange(len(units))[:, None])

    def run(self, units: Sequence[Unit]) -> list[Any]:
        return [PairResult(0.5, unit.tokens, truncated=False) for unit in units]

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        assert len(results) >= len(pairs)
        return super().probabilities(prompt, texts, pairs, results)


def test_the_cost_counts_a_call_a_pair_and_its_tokens() -> None:
    candidates = [Candidate("p", "a", "b"), Candidate("p", "a", "c"), Candidate("q", "a", "b")]
    found = cost(Caller(), candidates)
    assert (found.pairs, found.calls, found.tokens_in) == (3, 3, 300)
    assert found.tokens_out == 3 * TOKENS_OUT
    assert "3 calls, about 300 tokens in" in str(found)
    assert "needs no model" in str(cost(Unigram(), candidates))


def test_a_failing_judge_keeps_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(Caller):
        batches = 0

        def run(self, units: Sequence[Unit]) -> list[Any]:
            self.batches += 1
            if self.batches == 2:
                raise ConnectionError("no route to the judge")
            return super().run(units)

    groups, out = write_groups(tmp_path / "groups.jsonl", 4), tmp_path / "out.jsonl"
    monkeypatch.setattr("darling_models.labelling.command.load", lambda *_: Failing())
    arguments = ["label", str(groups), str(out), "--judge", "exact", "--pairs", "40", "--yes"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "no route to the judge; 16 labels are kept, run the same command to go on" in error
    assert len(keys(out)) == 16


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"rollouts": ["a", "b"]}, "line 1: prompt: missing; add it"),
        ({"prompt": "p", "rollouts": "a"}, 'line 1: rollouts: "a" is not a list'),
        ([], "line 1: not a JSON object"),
    ],
)
def test_lines_that_are_no_groups_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: object, message: str
) -> None:
    groups = tmp_path / "groups.jsonl"
    groups.write_text(json.dumps(line) + "\n")
    arguments = [str(groups), str(tmp_path / "out.jsonl"), "--judge", "exact", "--model", "exact"]
    assert main(["label", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_file_of_another_kind_is_not_added_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = write_groups(tmp_path / "groups.jsonl", 2)
    arguments = ["label", str(groups), str(groups), "--judge", "exact", "--model", "exact"]
    assert main([*arguments, "--yes"]) == 2
    assert "line 1: generation_0: missing; add it; choose another OUT" in capsys.readouterr().err


def test_one_device_for_both_models_is_not_forced_on_a_judge_that_reads_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = write_groups(tmp_path / "groups.jsonl", 2)
    arguments = ["label", str(groups), str(tmp_path / "out.jsonl"), "--device", "cuda"]
    assert main([*arguments, "--judge", "exact", "--model", "unigram"]) == 0
    assert "pairs to label" in capsys.readouterr().out


def test_answers_are_labelled_as_the_service_compares_them(tmp_path: Path) -> None:
    path = tmp_path / "groups.jsonl"
    thought = [f"<think>{way}</think>Kyoto.</s>" for way in ("One way.", "Another.")]
    prompt = "<|im_start|>user\nA city?<|im_end|>\n<|im_start|>assistant\n"
    path.write_text(json.dumps({"prompt": prompt, "rollouts": [*thought, "Cairo."]}) + "\n")
    (question,) = read_questions(path, "prompt", "rollouts")
    assert (question.prompt, question.texts) == ("A city?", ("Kyoto.", "Cairo."))
