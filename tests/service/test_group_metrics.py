"""Metrics of one group: hand-worked values, brute force, edges."""

import math
from collections.abc import Sequence
from itertools import combinations, count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from darling_service.evaluation.metrics import classes, spectrum, success, wording
from darling_service.evaluation.metrics.self_bleu import self_bleu
from tests.cpu_time import too_dear

partitions = st.lists(st.integers(0, 4), min_size=1, max_size=9)


@given(st.integers(1, 9), st.data())
@settings(deadline=None)
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_one(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    assert success.pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_tries_beyond_the_group_are_not_a_number() -> None:
    assert math.isnan(success.pass_at_k(4, 2, 5))
    assert math.isnan(success.majority_at_k(["a"], [True], 2))
    assert math.isnan(success.coverage_at_n([1, 1], 3))
    assert math.isnan(success.auc_at_k(4, 1, 5))


def test_auc_at_k_by_hand() -> None:
    """n = 4, c = 1: the curve is 1/4, 2/4, 3/4, 1; three trapezoids of 3/8, 5/8, 7/8."""
    assert success.auc_at_k(4, 1, 4) == pytest.approx((3 / 8 + 5 / 8 + 7 / 8) / 3)


def test_majority_by_hand() -> None:
    """Of 42, 42, 41: pairs (42, 42) right, two ties shared; all three right."""
    answers, correct = ["42", "42", "41"], [True, True, False]
    assert success.majority_at_k(answers, correct, 1) == pytest.approx(2 / 3)
    assert success.majority_at_k(answers, correct, 2) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert success.majority_at_k(answers, correct, 3) == 1


def test_no_answer_is_no_vote_by_hand() -> None:
    """Of 42, none, 41: each is a try; of the pairs, (42, none) is right, (42, 41) shared."""
    answers, correct = ["42", None, "41"], [True, False, False]
    assert success.majority_at_k(answers, correct, 1) == pytest.approx(1 / 3)
    assert success.majority_at_k(answers, correct, 2) == pytest.approx((1 + 0.5 + 0) / 3)
    assert success.majority_at_k(answers, correct, 3) == 0.5
    assert success.majority_at_k([None, None], [True, False], 2) == 0, "nobody votes"


def test_majority_of_many_is_drawn_and_repeats_itself() -> None:
    answers = ["r"] * 12 + [f"w{k}" for k in range(18)]
    correct = [a == "r" for a in answers]
    value = success.majority_at_k(answers, correct, 9)
    assert math.comb(30, 9) > success.EXACT_SUBSETS
    assert value == success.majority_at_k(answers, correct, 9)
    assert 0.8 < value <= 1


@given(partitions, st.data())
@settings(deadline=None)
def test_coverage_is_the_mean_number_of_classes_drawn(
    partition: Sequence[int], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(partition)))
    sizes = [partition.count(c) for c in set(partition)]
    drawn = [len(set(s)) for s in combinations(partition, k)]
    assert success.coverage_at_n(sizes, k) == pytest.approx(sum(drawn) / len(drawn))


def test_noveltybench_utility_by_hand() -> None:
    """Qualities 8, 6, 4 of classes 0, 0, 1 at patience .5: (8 + 0 + 4/4) / (1 + 1/2 + 1/4)."""
    scores = classes.generation_scores([8, 6, 4], [0, 0, 1])
    assert scores == [8, 0, 4]
    assert classes.utility(scores, 0.5) == pytest.approx(9 / 1.75)
    assert classes.utility(scores, 1.0) == pytest.approx(4.0)
    assert 1 / sum(0.8**i for i in range(10)) == pytest.approx(0.2240580, abs=1e-7)
    assert classes.distinct([0, 0, 1]) == 2


def test_shares_of_classes_by_hand() -> None:
    partition = [0, 0, 1, 2]
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert classes.class_entropy(partition) == pytest.approx(entropy)
    assert classes.effective_classes(partition) == pytest.approx(math.exp(entropy))
    assert classes.simpson(partition) == pytest.approx(1 - (0.25 + 2 * 0.0625))
    assert classes.effective_classes([0] * 5) == 1
    assert classes.effective_classes([0, 1, 2, 3]) == pytest.approx(4)


def test_effective_semantic_diversity_by_hand() -> None:
    """Of four, three are valid, of classes 0, 0, 1: of six pairs, two are valid and different."""
    assert classes.effective_diversity_fixed([0, 0, 1], 4) == pytest.approx(2 / 4)
    assert classes.effective_diversity_pairwise([0, 0, 1], 4) == pytest.approx(2 / 6)
    assert classes.effective_diversity_fixed([], 4) == 0
    assert classes.effective_diversity_pairwise([], 4) == 0
    assert math.isnan(classes.effective_diversity_pairwise([0], 1))


@given(partitions)
@settings(deadline=None)
def test_simpson_is_darlings_mean_diversity_rescaled(partition: list[int]) -> None:
    n = len(partition)
    if n > 1:
        mean = sum((n - partition.count(c)) / (n - 1) for c in partition) / n
        assert classes.simpson(partition) * n / (n - 1) == pytest.approx(mean)


def test_wording_by_hand() -> None:
    texts = ["a b a", "a B c d"]
    assert wording.distinct_n(texts, 1) == pytest.approx(4 / 7)
    assert wording.distinct_n(texts, 2) == pytest.approx(4 / 5), "no bigram crosses texts"
    assert math.isnan(wording.distinct_n(texts, 5))
    expected = 10 * (1 - (9 / 10) ** 7)
    assert wording.expectation_adjusted_distinct(texts, 10) == pytest.approx(4 / expected)
    assert wording.expectation_adjusted_distinct(["yes", "yes yes"], 1) == 1
    assert wording.ngram_novelty(["a b c d", "a b c d", "e f g h"]) == pytest.approx(1 / 3)


def test_self_bleu_of_copies_is_one_and_of_strangers_small() -> None:
    text = "the quick brown fox jumps over the lazy dog"
    assert self_bleu([text, text]) == pytest.approx(1)
    assert self_bleu([text, "every good boy does fine in music class today"]) < 0.1
    assert math.isnan(self_bleu([text]))


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "A", "3.5", "x-y", "...", "&quot;", "\n"]), max_size=9),
        min_size=2,
        max_size=5,
    )
)
@settings(deadline=None)
def test_self_bleu_is_that_of_sacrebleu(groups: list[list[str]]) -> None:
    bleu = BLEU(effective_order=True)
    texts = [" ".join(words) for words in groups]
    scores = [
        bleu.sentence_score(text, [*texts[:i], *texts[i + 1 :]]).score
        for i, text in enumerate(texts)
    ]
    assert self_bleu(texts) == pytest.approx(sum(scores) / len(scores) / 100)


SHAPES = (
    *("word and other words ", "\n", "\r\n", "\u2028", ".", " ", "a", "\"'", "\u201c", "([{<"),
    *(
        "$",
        "\\boxed{",
        "- ",
        "* ",
        "1. ",
        "1,",
        "1-",
        "\t \n",
        "語",
        "🐙",
        "&quot;<skipped>",
        "<s>",
    ),
)


def wording_of(texts: Sequence[str]) -> None:
    self_bleu(texts)
    for size in (1, 2, 4):
        wording.distinct_n(texts, size)
    wording.expectation_adjusted_distinct(texts, 100)
    wording.ngram_novelty(texts)


@pytest.mark.heavy
@pytest.mark.parametrize("shape", SHAPES)
def test_figures_of_wording_take_time_linear_in_the_text(shape: str) -> None:
    attempts = count()  # sacrebleu keeps the tokens of a text that it has seen

    def read(text: str) -> None:
        attempt = next(attempts)
        wording_of([text + f"{attempt} {end}" for end in ("x", "y z", "x")])

    read("word")  # imports, and the tokenizer's tables
    few, many = ((shape * characters)[:characters] for characters in (3_000, 30_000))
    assert not too_dear(read, few, many)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, math.inf])
def test_vendi_counts_orthogonal_blocks(order: float) -> None:
    assert spectrum.vendi(np.eye(4), order) == pytest.approx(4)
    assert spectrum.vendi(np.ones((4, 4)), order) == pytest.approx(1)
    blocks = np.kron(np.eye(2), np.ones((3, 3))).astype(np.float64)
    assert spectrum.vendi(blocks, order) == pytest.approx(2)


def test_vendi_of_uneven_blocks_by_hand() -> None:
    """Blocks of 3 and 1 of 4: eigenvalues 3/4 and 1/4."""
    kernel = np.eye(4)
    kernel[:3, :3] = 1
    assert spectrum.vendi(kernel) == pytest.approx(
        math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    )
    assert spectrum.vendi(kernel, 2) == pytest.approx(1 / (0.75**2 + 0.25**2))
    assert spectrum.vendi(kernel, math.inf) == pytest.approx(4 / 3)
    assert spectrum.embedding_diversity(kernel) == pytest.approx(0.5)
