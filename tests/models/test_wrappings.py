"""Wrapper invariance: the package's own wrappings and answers, their figures, and the search."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from darling_models.evaluation.invariance import ROLLOUTS, invariance
from darling_models.evaluation.report import Breakdown, Section
from darling_models.evaluation.wrapping_search import most_paid, partition_diversity, wrap_each
from darling_models.evaluation.wrappings import (
    ShortAnswer,
    Wrapping,
    draw,
    languages,
    short_answers,
    wrapped,
)
from darling_models.lexical import LexicalClassifier
from darling_models.protocol import EquivalenceClassifier, ModelInfo
from darling_service.cli.main import main


class Rule(LexicalClassifier[str]):
    """Texts are equivalent when a function of them is equal."""

    baseline = ModelInfo("rule", "1", 0.5, "average", "a rule")

    def __init__(self, of: Callable[[str], object]) -> None:
        super().__init__()
        self._of = of

    def features(self, text: str) -> str:
        return repr(self._of(text))

    def similarity(self, a: str, b: str) -> float:
        return float(a == b)


def figures(
    classifier: EquivalenceClassifier, answers: list[ShortAnswer], seed: int = 0
) -> dict[str, Section]:
    flat: dict[str, Section] = {}
    for each in invariance({"rule": classifier}, answers, seed):
        parts = each.parts.values() if isinstance(each, Breakdown) else [each]
        flat |= {part.title: part for part in parts}
    return flat


def test_there_are_200_answers_different_to_each_prompt() -> None:
    answers = short_answers()
    assert len(set(answers)) == len(answers) == 200
    assert {answer.language for answer in answers} == set(languages())
    for prompt, own in groupby(answers, lambda answer: answer.prompt):
        texts = [answer.text.casefold() for answer in own]
        assert len(set(texts)) == len(texts) > 1, prompt


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("maths", [False, True])
def test_a_wrapping_holds_its_answer_once(language: str, maths: bool) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        text = draw(random, language, maths=maths).around("Ouagadougou")
        assert text.count("Ouagadougou") == 1
        assert "{}" not in text
        assert text == text.strip()


@pytest.mark.parametrize(
    ("wrapping", "text"),
    [
        (Wrapping("", "{}", "", " ", "."), "Oslo"),
        (Wrapping("Sure.", "{}", "Bye!", " ", "."), "Sure. Oslo. Bye!"),
        (Wrapping("Sure.", "**{}**", "Bye!", " ", "."), "Sure. **Oslo**. Bye!"),
        (Wrapping("", "It is {}.", "Bye!", " ", "."), "It is Oslo. Bye!"),
        (Wrapping("Sure.", "# {}", "Bye!", "\n\n", "."), "Sure.\n\n# Oslo\n\nBye!"),
        (Wrapping("好。", "{}", "再见！", "", "。"), "好。Oslo。再见！"),
    ],
)
def test_pieces_are_joined_as_people_write(wrapping: Wrapping, text: str) -> None:
    assert wrapping.around("Oslo") == text


def test_wrappings_of_an_answer_are_distinct_and_repeat_by_seed() -> None:
    answer = short_answers()[0]
    first, again, other = (
        wrapped(np.random.default_rng(seed), answer, ROLLOUTS) for seed in (0, 0, 1)
    )
    assert first == again != other
    assert first[0] == answer.text
    assert len(set(first)) == ROLLOUTS


@pytest.mark.parametrize(
    ("classes", "diversity"), [([0] * 4, 0), ([0, 0, 0, 1], 0.5), ([0, 1, 2, 3], 1), ([0], 0)]
)
def test_the_diversity_of_a_partition(classes: list[int], diversity: float) -> None:
    matrix = np.asarray([[float(a == b) for b in classes] for a in classes])
    assert partition_diversity(matrix, np.arange(len(classes)), Rule.baseline) == pytest.approx(
        diversity
    )


def test_a_classifier_that_reads_the_answer_pays_for_no_wrapping() -> None:
    answers = [answer for answer in short_answers() if answer.category == "picks"][:13]
    by_length = sorted((answer.text for answer in answers), key=len, reverse=True)
    reader = Rule(lambda text: next(known for known in by_length if known in text))
    sections = figures(reader, answers)
    for title, section in sections.items():
        if title == "different answers in one wrapping":
            assert section.figures["rule"]["judged_equivalent"].value == 0
        else:
            assert section.figures["rule"]["diversity"].value == 0, title
            assert section.figures["rule"]["unpaid"].value == 1, title
    assert sections["wrappings found by a search, on other answers"].count == 1


def test_a_classifier_that_reads_no_answer_merges_different_ones() -> None:
    sections = figures(Rule(lambda text: 0), short_answers()[:3])
    different = sections["different answers in one wrapping"].figures["rule"]
    assert different["judged_equivalent"].value == 1


def test_one_that_compares_letters_pays_for_every_wrapping() -> None:
    section = figures(Rule(lambda text: text), short_answers()[:3])[
        "eight wrappings of one short answer"
    ]
    assert section.figures["rule"]["diversity"].value == 1
    assert section.figures["rule"]["unpaid"].value == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_search_finds_one_weakness_among_hundreds_of_pieces(seed: int) -> None:
    """Only quotations pay. Half of eight rollouts as quotations pay most: 16 of 28 pairs differ."""
    answers = short_answers()[:2]
    quotes = Rule(lambda text: any(line.startswith("> ") for line in text.splitlines()))
    found = most_paid(quotes, answers, ROLLOUTS, seed)
    assert sum(wrapping.form == "> {}" for wrapping in found) == ROLLOUTS // 2
    assert found == most_paid(quotes, answers, ROLLOUTS, seed)
    assert [len(group.texts) for group in wrap_each(answers, found)] == [ROLLOUTS] * 2


def test_the_command_needs_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--wrappings", "14", "--model", "exact", "--baselines", "unigram"]
    assert main(["evaluate-classifier", *words]) == 0
    printed = capsys.readouterr().out
    assert "eight wrappings of one short answer (14 answers)" in printed
    assert "wrappings found by a search, on other answers (2 answers)" in printed
    assert printed.count("note: found for exact: ") == ROLLOUTS


@pytest.mark.parametrize("words", [[], ["--text", "all"]])
def test_nothing_to_measure_on_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["evaluate-classifier", *words, "--out", str(tmp_path / "out")]) == 2
    assert "nothing to measure on; give --pairs, " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
