"""`darling-reward evaluate-classifier`: its parts, and the command on pairs of known answers."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darling_models.errors import ModelError
from darling_models.evaluation.contenders import BASELINES, baselines
from darling_models.evaluation.lengthen import TARGETS, lengthen, longest, neutral_sentences
from darling_models.evaluation.measures import partitions, sample, shares_equivalent, word_buckets
from darling_models.evaluation.plots import roc_curve
from darling_models.evaluation.predict import of_groups, of_pairs
from darling_models.labelled_data import HumanPair, TeacherGroup
from darling_models.lexical import Exact, Unigram
from darling_models.protocol import classify
from darling_models.training.seen import SIZE, share_seen, sketch
from tests.commands import run_command
from tests.texts import essay

PNG = b"\x89PNG"


def labelled(count: int = 48) -> list[HumanPair]:
    """Every third pair gives one answer twice, in other words; the rest give two answers."""
    return [
        HumanPair(
            f"What should town {k} do?",
            essay(k, 30 + 5 * k),
            essay(k if k % 3 == 0 else k + 1, 40 + 5 * k),
            similar=k % 3 == 0,
            labeler="Ann" if k % 2 else "Bo",
        )
        for k in range(count)
    ]


def write_pairs(path: Path, pairs: list[HumanPair]) -> Path:
    rows = [
        {
            "prompt": pair.prompt,
            "generation_0": pair.a,
            "generation_1": pair.b,
            "similar": int(pair.similar),
            "labeler": pair.labeler,
        }
        for pair in pairs
    ]
    return write_rows(path, rows)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def evaluate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_command("evaluate-classifier", *arguments, timeout=300)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder / "pairs.jsonl", labelled())
    groups = [
        {
            "prompt": f"What should town {k} do?",
            "generations": [essay(k, 30), essay(k + 1, 30), essay(k, 35), essay(k, 30)],
            "partition": [0, 1, 0, 0],
        }
        for k in range(12)
    ]
    write_rows(folder / "groups.jsonl", groups)
    same, two = essay(1, 40), [essay(1, 40), essay(2, 40)]
    write_rows(folder / "different.jsonl", [{"problem": "p", "solutions": two}] * 3)
    write_rows(folder / "same.jsonl", [{"question": "q", "responses": [same, same + " Yes."]}] * 3)
    return folder


@pytest.fixture(scope="module")
def run(files: Path) -> subprocess.CompletedProcess[str]:
    names = ("--pairs", "pairs"), ("--groups", "groups"), ("--different", "different")
    data = [word for flag, name in names for word in (flag, files / f"{name}.jsonl")]
    return evaluate(
        *data,
        *("--same-problem", files / "same.jsonl"),
        *("--model", "unigram", "--baselines", "unigram,tfidf,rouge1"),
        *("--max-lengthened", "12", "--out", files / "out"),
    )


def test_the_table_has_every_part(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr
    for title in (
        "\npairs (48 pairs)",
        "pairs, labeler Ann (24 pairs)",
        "pairs, 100 to 199 words",
        "pairs, long (at least 100 words a side)",
        "lengthened to 8000 words (12 pairs)",
        "stored partitions, average linkage (12 groups)",
        "one problem, different methods (3 pairs)",
        "one problem, sampled responses (3 pairs)",
    ):
        assert title in run.stdout
    assert run.stdout.count("\nrouge1 ") == run.stdout.count("\nunigram ")
    assert "unigram was trained on none of these pairs" in run.stdout


def test_the_plots_are_pictures(run: subprocess.CompletedProcess[str], files: Path) -> None:
    for name in ("roc", "reliability", "confusion_by_length"):
        picture = (files / "out" / f"{name}.png").read_bytes()
        assert picture.startswith(PNG)
        assert len(picture) > 10_000


def test_few_pairs_have_no_plot_by_length(files: Path, tmp_path: Path) -> None:
    """Too few for any class of length, and none lengthened."""
    options = ("--max-pairs", "3", "--max-lengthened", "0", "--baselines", "", "--out", tmp_path)
    done = evaluate("--pairs", files / "pairs.jsonl", "--model", "exact", *options)
    assert done.returncode == 0, done.stderr
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"evaluation.json", "reliability.png", "roc.png"}


def test_the_document_holds_what_the_library_says(
    run: subprocess.CompletedProcess[str], files: Path
) -> None:
    document = json.loads((files / "out" / "evaluation.json").read_text())
    sections = {section["title"]: section for section in document["sections"]}
    pairs = labelled()
    said = of_pairs(Unigram(), pairs, "") > Unigram.baseline.threshold
    expected = float(np.mean(said == np.asarray([pair.similar for pair in pairs])))
    figure = sections["pairs"]["figures"]["unigram"]["accuracy"]
    assert figure["value"] == pytest.approx(expected)
    assert figure["low"] <= expected <= figure["high"]
    assert list(sections["pairs"]["figures"]) == ["unigram", "tfidf", "rouge1"]
    assert sections["one problem, sampled responses"]["figures"]["unigram"]["judged_equivalent"][
        "value"
    ] == pytest.approx(1)


def test_json_is_all_that_stdout_holds_and_samples_repeat(files: Path) -> None:
    arguments = ("--pairs", files / "pairs.jsonl", "--model", "unigram", "--baselines", "")
    limits = ("--json", "--max-pairs", "20", "--max-lengthened", "0")
    first, again, other = (
        evaluate(*arguments, *limits, "--seed", seed).stdout for seed in ("0", "0", "1")
    )
    assert first == again != other
    assert json.loads(first)["sections"][0]["count"] == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "nothing"), "unknown model 'nothing'"),
        (("--model", "exact", "--baselines", "bleu"), "unknown baseline 'bleu'"),
        (("--model", "embedded:nowhere"), "cannot read a pair head from nowhere"),
    ],
)
def test_mistakes_are_told_in_a_line(files: Path, arguments: tuple[str, ...], message: str) -> None:
    run = evaluate("--pairs", files / "pairs.jsonl", *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr


def test_a_file_without_the_fields_is_told(files: Path) -> None:
    run = evaluate("--pairs", files / "groups.jsonl", "--model", "exact")
    assert run.returncode == 2
    assert "line 1: generation_0: missing; add it" in run.stderr


@pytest.mark.parametrize("several", [0, 2])
def test_groups_of_one_text_are_left_out(files: Path, tmp_path: Path, several: int) -> None:
    single = {"prompt": "p", "generations": ["a"], "partition": [0]}
    group = {"prompt": "q", "generations": ["a", "b"], "partition": [0, 1]}
    write_rows(tmp_path / "groups.jsonl", [single] * 3 + [group] * several)
    run = evaluate(
        *("--pairs", files / "pairs.jsonl", "--groups", tmp_path / "groups.jsonl"),
        *("--model", "exact", "--baselines", "unigram", "--max-lengthened", "0"),
    )
    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr
    assert f"3 of {3 + several} groups have one text; left out." in run.stdout
    assert f"stored partitions, average linkage ({several} groups)" in run.stdout


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_keeps_the_promises_of_a_classifier(name: str) -> None:
    texts = [essay(0, 40), essay(1, 30), essay(0, 60), "", "No."]
    classifier = baselines([name], texts)[name]
    pairs = np.asarray([[0, 1], [0, 2], [2, 3], [3, 4]])
    found = classify(classifier, "p", texts, pairs)
    assert found == pytest.approx(classify(classifier, "q", texts, pairs[:, ::-1]), abs=1e-6)
    assert ((found >= 0) & (found <= 1)).all()
    assert found[1] > found[0], "one answer twice is nearer than two answers"
    alone = [classify(classifier, "p", [texts[i], texts[j]], pairs[:1])[0] for i, j in pairs]
    assert found == pytest.approx(np.asarray(alone), abs=1e-6)


def test_an_unknown_baseline_is_named() -> None:
    with pytest.raises(ModelError, match="'bleu'"):
        baselines(["unigram", "bleu"], ["a"])


def test_rouge_1_by_hand() -> None:
    # Two of three words against two of four: P = 1/2, R = 2/3, F = 4/7.
    rouge = baselines(["rouge1"], [])["rouge1"]
    found = classify(rouge, "", ["red blue green", "Blue, red: black white!"], np.asarray([[0, 1]]))
    assert found[0] == pytest.approx(4 / 7)


def test_groups_are_symmetric_and_copies_are_equivalent() -> None:
    group = TeacherGroup("p", ("a b", "a c", "a b"), np.asarray([0, 1, 0]))
    (matrix,) = of_groups(Unigram(), [group], "")
    assert matrix == pytest.approx(np.asarray([[1, 1 / 3, 1], [1 / 3, 1, 1 / 3], [1, 1 / 3, 1]]))


@pytest.mark.parametrize("words", TARGETS)
def test_lengthening_adds_the_same_text_to_both_sides(words: int) -> None:
    pairs = labelled(12)
    longer = lengthen(pairs, words)
    fitting = [pair for pair in pairs if longest(pair) <= words]
    assert len(longer) == len(fitting) > 0
    for old, new in zip(fitting, longer, strict=True):
        assert (new.prompt, new.similar, new.labeler) == (old.prompt, old.similar, old.labeler)
        assert words - 30 < longest(new) <= words
        assert new.a.replace(old.a, "").split() == new.b.replace(old.b, "").split()
        assert old.a in new.a
        assert old.b in new.b


def test_neutral_sentences_do_not_repeat() -> None:
    sentences = neutral_sentences(8000, seed=1)
    assert len(set(sentences)) == len(sentences) > 400
    assert sentences == neutral_sentences(8000, seed=1)
    assert neutral_sentences(0, seed=1) == []


def test_the_lines_of_a_text_keep_their_order() -> None:
    pair = HumanPair("p", "one\ntwo\nthree", "four", True, "Ann")
    (longer,) = lengthen([pair], 400)
    lines = longer.a.split("\n")
    assert [line for line in lines if line in ("one", "two", "three")] == ["one", "two", "three"]
    assert len(lines) == 7, "a block before, between and after"


def test_buckets_cover_every_pair_once() -> None:
    pairs = labelled()
    masks = np.asarray([mask for _, mask in word_buckets(pairs)])
    assert (masks.sum(axis=0) <= 1).all()
    assert masks.sum() >= len(pairs) - 10


def test_a_sample_keeps_the_order() -> None:
    rows = list(range(100))
    chosen = sample(rows, 10, seed=0)
    assert len(chosen) == 10
    assert chosen == sorted(chosen)
    assert sample(rows, None, 0) == sample(rows, 100, 0) == rows


def test_shares_by_hand() -> None:
    # Three distinct pairs, none equal; copies are one solution.
    problems = [("p", ["a", "b", "b"]), ("q", ["a", "b", "c"]), ("r", ["a"])]
    section = shares_equivalent({"exact": Exact()}, problems, "t")
    assert section.count == 1 + 3
    assert section.figures["exact"]["judged_equivalent"].value == 0


def test_stored_partitions_are_measured_by_regime() -> None:
    # 12 groups, each with 3 short pairs, 1 of them equivalent, and 1 long pair, equivalent.
    groups = [
        TeacherGroup(
            f"p{k}",
            (f"a {k}", f"A {k}", f"b {k}", essay(k, 120), essay(k, 130)),
            np.asarray([0, 0, 1, 2, 2]),
        )
        for k in range(12)
    ]
    sections = {section.title: section for section in partitions({"exact": Exact()}, groups)}
    short = sections["stored partitions, short (at most 15 words a side)"]
    assert short.count == 36
    assert short.figures["exact"]["accuracy"].value == 1
    assert short.figures["exact"]["ece"].value == 0
    long = sections["stored partitions, long (at least 100 words a side)"]
    assert (long.count, long.figures["exact"]["ece"].value) == (12, 1)
    assert "stored partitions, maths" not in sections


def test_the_roc_curve_by_hand() -> None:
    scores = np.asarray([0.9, 0.8, 0.8, 0.1])
    false, true = roc_curve(scores, np.asarray([True, True, False, False]))
    assert true.tolist() == [0, 0.5, 1, 1]
    assert false.tolist() == [0, 0, 0.5, 1]


def test_a_sketch_tells_how_much_was_seen() -> None:
    trained = [f"prompt {k}" for k in range(4 * SIZE)]
    kept = sketch(trained)
    assert len(kept) == SIZE
    assert share_seen(trained, kept) == 1
    assert share_seen([f"other {k}" for k in range(500)], kept) == 0
    half = share_seen(trained[:800] + [f"other {k}" for k in range(800)], kept)
    assert half == pytest.approx(0.5, abs=0.1)
    assert share_seen(["prompt  3 "], sketch(["prompt 3"])) == 1, "white space aside"
    assert share_seen([], kept) is None
    assert share_seen(["prompt 3"], []) == 0
