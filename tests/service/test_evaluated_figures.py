"""Figures of `darling-reward evaluate` against counts made here, record by record."""

import json
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darling_service.cli.main import main
from darling_service.evaluation.answers import votes

answers = st.one_of(
    st.none(), st.sampled_from(["", " ", "7", " 7", "8", "seven", "SEVEN"]), st.sampled_from([7, 8])
)
groups = st.lists(
    st.lists(st.tuples(answers, st.sampled_from([True, False, 0, 1])), min_size=2, max_size=5),
    min_size=1,
    max_size=6,
)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Evaluate:
    """The command in this process: its exit status, output, and JSON document."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str | Path, model: str = "exact") -> tuple[int, str, str]:
        status = main(["evaluate", *map(str, words), "--model", model])
        captured = self._capsys.readouterr()
        return status, captured.out, captured.err

    def document(self, *words: str | Path, model: str = "exact") -> dict[str, Any]:
        status, out, err = self(*words, "--json", model=model)
        assert status == 0, err
        return json.loads(out)  # type: ignore[no-any-return]


@pytest.fixture
def evaluate(capsys: pytest.CaptureFixture[str]) -> Evaluate:
    return Evaluate(capsys)


def same(answer: str | int | None) -> str:
    """The answer up to case and white space; "" for none."""
    return " ".join(str("" if answer is None else answer).split()).lower()


def passed(right: Sequence[bool], k: int) -> float:
    """The share of all sets of k rollouts that hold a right one."""
    sets = list(combinations(right, k))
    return sum(any(tries) for tries in sets) / len(sets)


def majority(votes: Sequence[str], right: Sequence[bool], k: int) -> float:
    """The share of all sets of k rollouts whose most frequent answer is right; ties share."""
    correct = {vote for vote, good in zip(votes, right, strict=True) if good and vote}
    total, sets = 0.0, list(combinations(votes, k))
    for tries in sets:
        cast = [vote for vote in tries if vote]
        most = max((cast.count(vote) for vote in cast), default=0)
        leading = {vote for vote in cast if cast.count(vote) == most}
        total += sum(vote in correct for vote in leading) / len(leading) if leading else 0
    return total / len(sets)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@given(groups, st.booleans())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_pass_and_majority_at_k_are_independent_counts(
    tmp_path: Path, evaluate: Evaluate, drawn: list[list[tuple[Any, Any]]], own: bool
) -> None:
    """With null answers, in columns and in the rollouts, with verdicts and with a reference."""
    rows = []
    for number, group in enumerate(drawn):
        texts = [f"{number} {k}" for k in range(len(group))]
        row: dict[str, Any] = {"prompt": f"p{number}"}
        if own:
            row["rollouts"] = [
                {"text": text, "answer": answer} | ({"correct": good} if number % 2 else {})
                for text, (answer, good) in zip(texts, group, strict=True)
            ]
        else:
            row |= {"rollouts": texts, "answers": [answer for answer, _ in group]}
            row |= {"correct": [good for _, good in group]} if number % 2 else {}
        rows.append(row | ({} if number % 2 else {"reference": "seven" if number % 4 else 7}))
    metrics = evaluate.document(write(tmp_path / "r.jsonl", rows), "--k", "1,2")["metrics"]
    right, votes = [], []
    for number, group in enumerate(drawn):
        reference = "seven" if number % 4 else "7"
        votes.append([same(answer) for answer, _ in group])
        right.append(
            [bool(good) for _, good in group]
            if number % 2
            else [vote == reference for vote in votes[-1]]
        )
    for k in (1, 2):
        assert metrics[f"pass@{k}"]["rows"] == len(drawn)
        assert metrics[f"pass@{k}"]["mean"] == pytest.approx(mean([passed(r, k) for r in right]))
    assert metrics["maj@2"]["rows"] == len(drawn)
    expected = mean([majority(v, r, 2) for v, r in zip(votes, right, strict=True)])
    assert metrics["maj@2"]["mean"] == pytest.approx(expected)


def test_records_with_a_null_answer_count(tmp_path: Path, evaluate: Evaluate) -> None:
    """Of 4 records one is all right, and three have one right of three: pass@1 is 1/2."""
    whole = {"prompt": "p0", "rollouts": ["a", "b", "c"], "answers": ["42"] * 3, "reference": "42"}
    parts = [{**whole, "prompt": f"p{k}", "answers": ["42", None, "8"]} for k in (1, 2, 3)]
    metrics = evaluate.document(write(tmp_path / "r.jsonl", [whole, *parts]))["metrics"]
    assert metrics["pass@1"]["mean"] == pytest.approx((1 + 3 * (1 / 3)) / 4)
    assert metrics["pass@1"]["rows"] == 4
    assert metrics["effective_diversity"]["mean"] == pytest.approx((1 + 3 * (1 / 3)) / 4)


@pytest.mark.parametrize("missing", [None, "", "   "])
def test_no_answer_at_all_is_wrong_in_every_form(
    tmp_path: Path, evaluate: Evaluate, missing: str | None
) -> None:
    column = {"prompt": "p", "rollouts": ["a", "b"], "answers": [missing] * 2, "reference": 7}
    objects: dict[str, Any] = {
        "prompt": "q",
        "rollouts": [{"text": "a", "answer": missing}, {"text": "b"}],
        "reference": 7,
    }
    for row in (column, objects):
        metrics = evaluate.document(write(tmp_path / "r.jsonl", [row]))["metrics"]
        for name in ("pass@1", "pass@2", "maj@2"):
            assert (metrics[name]["mean"], metrics[name]["rows"]) == (0, 1)


def test_verdicts_that_only_some_records_have_are_told(tmp_path: Path, evaluate: Evaluate) -> None:
    row: dict[str, Any] = {"prompt": "p", "rollouts": ["a", "b"]}
    rows = [{**row, "correct": [1, 0]}, {**row, "prompt": "q"}]
    path = write(tmp_path / "runs.jsonl", rows)
    metrics = evaluate.document(path)
    assert (metrics["metrics"]["pass@1"]["rows"], metrics["records"]) == (1, 2)
    _, table, _ = evaluate(path)
    assert "1/2" in next(line for line in table.splitlines() if line.startswith("pass@1"))
    assert "runs: 1 of 2 records, the first of them record 2, have no correct" in table


@pytest.mark.parametrize("without", [0, 3], ids=["all have verdicts", "three have none"])
def test_records_without_verdicts_leave_effective_diversity(
    tmp_path: Path, evaluate: Evaluate, without: int
) -> None:
    """One of three is right: 1/3, whatever stands beside the record."""
    row: dict[str, Any] = {"rollouts": ["a", "b", "c"]}
    rows = [{**row, "prompt": f"p{k}"} for k in range(without)]
    rows.append({**row, "prompt": "q", "correct": [1, 0, 0]})
    document = evaluate.document(write(tmp_path / "r.jsonl", rows))
    for name, mean in (("effective_diversity", 1 / 3), ("effective_diversity_pairwise", 0)):
        figure = document["metrics"][name]
        assert (figure["mean"], figure["rows"]) == (pytest.approx(mean), 1)
        assert any(name in note for note in document["notes"]) == (without > 0)


def test_verdicts_of_one_file_leave_the_other_without_effective_diversity(
    tmp_path: Path, evaluate: Evaluate
) -> None:
    row: dict[str, Any] = {"prompt": "p", "rollouts": ["a", "b"]}
    bare = write(tmp_path / "bare.jsonl", [row])
    judged = write(tmp_path / "judged.jsonl", [{**row, "correct": [1, 0]}])
    _, table, _ = evaluate(bare, judged)
    assert "0/1" in next(line for line in table.splitlines() if "effective_diversity " in line)
    alone = evaluate.document(bare)["metrics"]["effective_diversity"]
    assert (alone["mean"], alone["rows"]) == (1, 1)


@pytest.mark.parametrize("quality", [0.1 + 0.2 - 1e-16, 0.3 - 1e-9, 0.3, 0.30000001192092896])
def test_a_quality_at_the_threshold_up_to_rounding_is_valid(
    tmp_path: Path, evaluate: Evaluate, quality: float
) -> None:
    row = {"prompt": "p", "rollouts": ["a", "b"], "quality": [quality, 0.2999]}
    path = write(tmp_path / "r.jsonl", [row])
    figures = evaluate.document(path, "--quality-threshold", "0.3")["metrics"]
    assert figures["effective_diversity"]["mean"] == 0.5


def test_a_number_and_its_text_are_one_answer(tmp_path: Path, evaluate: Evaluate) -> None:
    row = {"prompt": "p", "rollouts": list("abcd"), "answers": [42, 42.0, "42", "41"]}
    for reference in (42, 42.0, "42"):
        path = write(tmp_path / "r.jsonl", [row | {"reference": reference}])
        metrics = evaluate.document(path, "--k", "1,4")["metrics"]
        assert metrics["pass@1"]["mean"] == pytest.approx(3 / 4)
        assert metrics["maj@4"]["mean"] == 1


def test_votes_are_counted_as_answers_are_compared(tmp_path: Path, evaluate: Evaluate) -> None:
    """Three spellings of Paris outvote two times Rome."""
    row: dict[str, Any] = {"prompt": "p", "rollouts": list("abcde"), "reference": "paris"}
    row["answers"] = ["Paris", "paris", " PARIS", "Rome", "Rome"]
    metrics = evaluate.document(write(tmp_path / "r.jsonl", [row]), "--k", "5")["metrics"]
    assert metrics["maj@5"]["mean"] == 1


def test_the_same_as_a_third_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "B) Rome" is "B" and is "Rome", though these two alone say nothing of each other."""
    pairs = {frozenset(("B) Rome", "B")), frozenset(("B) Rome", "Rome"))}
    monkeypatch.setattr(
        "darling_service.evaluation.answers.same", lambda a, b: frozenset((a, b)) in pairs
    )
    for group in (["B", "Rome", "B) Rome", None, "C"], ["B) Rome", "Rome", "B", None, "C"]):
        cast = votes(group)
        assert cast[0] == cast[1] == cast[2]
        assert cast[3] is None
        assert cast[4] not in cast[:3]
    assert len(set(votes(["B", "Rome"]))) == 2


@pytest.mark.parametrize("ks", ["8", "4,8", "8,4", "8,8", "1", "1,8", "2,3,5,7"])
def test_every_k_has_its_figures(tmp_path: Path, evaluate: Evaluate, ks: str) -> None:
    row = {"prompt": "p", "rollouts": [f"t{k}" for k in range(8)], "correct": [1] * 8}
    row["answers"] = list("aaaabbcd")
    metrics = evaluate.document(write(tmp_path / "r.jsonl", [row]), "--k", ks)["metrics"]
    wanted = sorted({int(k) for k in ks.split(",")})
    for name, least in (("pass", 1), ("maj", 2), ("cov", 2)):
        have = [int(metric.split("@")[1]) for metric in metrics if metric.startswith(f"{name}@")]
        assert have == [k for k in wanted if k >= least]


def test_classes_of_the_right_ones_are_theirs_alone(tmp_path: Path, evaluate: Evaluate) -> None:
    """The wrong rollout overlaps with both right ones, which do not overlap enough to be one."""
    right = ["a b c d e f g h", "e f g h i j k l"]
    row = {"prompt": "p", "rollouts": [*right, "c d e f g h i j"], "correct": [1, 1, 0]}
    arguments = ("--threshold", "0.55", "--linkage", "single", "--k", "1,2")
    path = write(tmp_path / "r.jsonl", [row | {"quality": [1, 1, 0]}])
    metrics = evaluate.document(path, *arguments, model="unigram")["metrics"]
    assert metrics["distinct_3"]["mean"] == 1, "all three together are one class"
    assert metrics["cov@2"]["mean"] == 2
    assert metrics["effective_diversity"]["mean"] == pytest.approx(2 / 3)
    assert metrics["effective_diversity_pairwise"]["mean"] == pytest.approx(1 / 3)
    valid = ("--quality-threshold", "0.5", *arguments)
    metrics = evaluate.document(path, *valid, model="unigram")["metrics"]
    assert metrics["effective_diversity"]["mean"] == pytest.approx(2 / 3)


def test_a_stored_partition_is_restricted_to_the_right_ones(
    tmp_path: Path, evaluate: Evaluate
) -> None:
    row = {"prompt": "p", "rollouts": list("abc"), "correct": [1, 1, 0], "partition": [0, 1, 0]}
    metrics = evaluate.document(write(tmp_path / "r.jsonl", [row]), "--k", "2")["metrics"]
    assert metrics["cov@2"]["mean"] == 2
    assert metrics["effective_diversity"]["mean"] == pytest.approx(2 / 3)


def test_a_new_partition_has_a_new_utility(tmp_path: Path, evaluate: Evaluate) -> None:
    """Stored: two classes. Partitioned again by equal text: three, or one where all are equal."""
    stored = {"partition": [0, 0, 1], "generation_scores": [5.0, 0.0, 3.0]}
    row = {"prompt": "p", "rollouts": ["a", "b", "c"], **stored}
    weights = [1, 0.8, 0.64]
    for quality, again, expected in (
        (None, False, (5 + 0.64 * 3) / sum(weights)),
        ([5, 4, 3], False, (5 + 0.64 * 3) / sum(weights)),
        ([5, 4, 3], True, (5 + 0.8 * 4 + 0.64 * 3) / sum(weights)),
        (None, True, None),
    ):
        path = write(tmp_path / "r.jsonl", [row | ({"quality": quality} if quality else {})])
        document = evaluate.document(path, *(["--repartition"] if again else []))
        metrics = document["metrics"]
        assert metrics["distinct_3"]["mean"] == (3 if again else 2)
        if expected is None:
            assert "utility_3" not in metrics
            assert any(
                "generation_scores of 1 records belong" in note for note in document["notes"]
            )
        else:
            assert metrics["utility_3"]["mean"] == pytest.approx(expected)


def test_utility_is_of_the_records_with_scores(tmp_path: Path, evaluate: Evaluate) -> None:
    """NoveltyBench's files hold null where its reward model gave no scores."""
    row = {"prompt": "p", "rollouts": ["a", "b"], "partition": [0, 1]}
    rows = [{**row, "generation_scores": scores} for scores in ([5.0, 3.0], None)]
    document = evaluate.document(write(tmp_path / "r.jsonl", rows))
    utility = document["metrics"]["utility_2"]
    assert utility["mean"] == pytest.approx((5 + 0.8 * 3) / 1.8)
    assert (utility["rows"], document["metrics"]["distinct_2"]["rows"]) == (1, 2)
    assert any(
        "1 of 2 records, the first of them record 2, have no generation" in note
        for note in document["notes"]
    )


def test_scores_without_their_partition_are_not_used(tmp_path: Path, evaluate: Evaluate) -> None:
    row = {"prompt": "p", "rollouts": ["a", "a"], "generation_scores": [5.0, 3.0]}
    assert "utility_2" not in evaluate.document(write(tmp_path / "r.jsonl", [row]))["metrics"]


@pytest.mark.parametrize("model", ["exact", "unigram", "ngram", "judge:m@http://127.0.0.1:9/v1"])
def test_an_encoder_has_vectors(tmp_path: Path, evaluate: Evaluate, model: str) -> None:
    path = write(tmp_path / "r.jsonl", [{"prompt": "p", "rollouts": ["a", "b"]}])
    status, out, error = evaluate(path, "--encoder", model)
    assert (status, out) == (2, "")
    assert "has no vectors of texts; choose embeddings" in error


def test_cosines_are_those_of_the_vectors(tmp_path: Path, evaluate: Evaluate) -> None:
    """Copies are one direction, whatever the encoder makes of the texts."""
    texts = ["A cat sat on the mat.", "Interest rates rose again.", "A cat sat on the mat."]
    path = write(tmp_path / "r.jsonl", [{"prompt": "p", "rollouts": texts}])
    cosines = []
    for encoder in ("embeddings", "embedded"):
        metrics = evaluate.document(path, "--encoder", encoder)["metrics"]
        cosine = 1 - 3 / 2 * metrics["embedding_diversity"]["mean"]
        shares = [
            (3 + r) / 6 for r in (math.sqrt(1 + 8 * cosine**2), -math.sqrt(1 + 8 * cosine**2))
        ]
        expected = math.exp(-sum(share * math.log(share) for share in shares))
        assert metrics["vendi"]["mean"] == pytest.approx(expected, rel=1e-3)
        cosines.append(cosine)
    assert all(-0.2 < cosine < 0.5 for cosine in cosines)


def test_a_file_is_measured_alone(tmp_path: Path, evaluate: Evaluate) -> None:
    """Beside another file of other words and of more rollouts each figure stays as it is."""
    rows = [{"prompt": f"p{k}", "rollouts": [f"red {k}", "blue", "red"]} for k in range(3)]
    more = [
        {"prompt": f"p{k}", "rollouts": [f"w{k} {i} x y z" for i in range(4)]} for k in range(3)
    ]
    first, second = write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", more)
    alone, both = evaluate.document(first), evaluate.document(first, second)
    assert both["metrics"] == alone["metrics"]
    size = ("--size", "3")
    assert both["second"]["metrics"]["ead"] == evaluate.document(second, *size)["metrics"]["ead"]


@pytest.mark.parametrize(
    ("opening", "closing"), [("<think>", "</think>\n"), ("", "</think>"), ("[THINK]", "[/THINK]")]
)
def test_what_follows_the_reasoning_is_measured(
    tmp_path: Path, evaluate: Evaluate, opening: str, closing: str
) -> None:
    """Three thoughts with one answer, and one that does not come to any."""
    answer = "Kyoto, for its temples and gardens."
    thoughts = ["Lisbon or Kyoto?", "Perhaps the sea.", "They like temples."]
    texts = [f"{opening}{thought}{closing}{answer}" for thought in thoughts]
    row = {"prompt": "p", "rollouts": [*texts, "<think>Cairo? Kyoto?"]}
    document = evaluate.document(write(tmp_path / "r.jsonl", [row]), "--encoder", model="unigram")
    plain = {"prompt": "p", "rollouts": [answer, answer, answer, ""]}
    expected = evaluate.document(write(tmp_path / "e.jsonl", [plain]), "--encoder", model="unigram")
    assert document["metrics"] == expected["metrics"]
    assert document["metrics"]["distinct_4"]["mean"] == 2
    assert any("the reasoning of 4 of 4 rollouts" in note for note in document["notes"])
