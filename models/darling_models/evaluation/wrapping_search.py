"""The search for wrappings that a classifier pays most for, as a policy would find them."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
from numpy.random import Generator

from darling_models.evaluation.predict import of_groups
from darling_models.evaluation.wrappings import ShortAnswer, Wrapping, draw, languages
from darling_models.figures.metrics import contents
from darling_models.labelled_data import TeacherGroup
from darling_models.partitions.linkage import partition
from darling_models.protocol import EquivalenceClassifier, FloatArray, IntArray, ModelInfo

PROPOSALS = 40
"""Wrappings compared in a round, each with each: 780 pairs for an answer."""
ROUNDS = 5
"""Rounds of the search. With twelve answers it reads some 2,000 short texts, which takes a model
that encodes each text once some seconds."""
FRESH = 0.5
"""Share of a variation's pieces that are drawn anew; the others come from the best wrappings."""


def most_paid(
    classifier: EquivalenceClassifier, answers: Sequence[ShortAnswer], count: int, seed: int
) -> list[Wrapping]:
    """The `count` wrappings found whose mean diversity over the answers is highest, and of equals
    those whose probabilities are lowest.

    In each round, proposals vary the best wrappings so far, in any language, and the best of all
    are picked. The same seed finds the same. Raises what the classifier raises.
    """
    random = np.random.default_rng(seed)
    best: list[Wrapping] = []
    paid = (-1.0, 0.0)
    for _ in range(ROUNDS):
        variations = (_variation(random, best) for _ in range(PROPOSALS - len(best)))
        proposals = list(dict.fromkeys([*best, *variations]))
        groups = wrap_each(answers, proposals)
        matrices = of_groups(classifier, groups, "proposals")
        places = _pick(np.asarray(matrices), classifier.info.threshold, count)
        own = np.ix_(places, places)
        diversity = fmean(
            partition_diversity(matrix[own], contents(group.texts)[places], classifier.info)
            for group, matrix in zip(groups, matrices, strict=True)
        )
        now = (diversity, -fmean(float(matrix[own].mean()) for matrix in matrices))
        if now > paid:
            best, paid = [proposals[k] for k in places], now
        if diversity == 1.0:
            break
    return best


def wrap_each(answers: Sequence[ShortAnswer], wrappings: Sequence[Wrapping]) -> list[TeacherGroup]:
    """A group for each answer: the answer in each of the wrappings, all of one class."""
    return [
        one_class(answer.prompt, [wrapping.around(answer.text) for wrapping in wrappings])
        for answer in answers
    ]


def one_class(prompt: str, texts: Sequence[str]) -> TeacherGroup:
    return TeacherGroup(prompt, tuple(texts), np.zeros(len(texts), dtype=np.int64))


def partition_diversity(matrix: FloatArray, content: IntArray, info: ModelInfo) -> float:
    """Mean diversity of a group of n under the classifier's own threshold and linkage, which is the
    share of pairs in different classes.

    `matrix`: the (n, n) probabilities. `content`: labels of identical texts, shape (n,).
    """
    sizes = np.bincount(partition(matrix, info.threshold, info.linkage, content))
    pairs = len(content) * (len(content) - 1)
    return 1.0 - float((sizes * (sizes - 1)).sum()) / pairs if pairs else 0.0


def _variation(random: Generator, best: Sequence[Wrapping]) -> Wrapping:
    """A wrapping whose pieces are new, or from any of the best."""

    def source() -> Wrapping:
        if not best or random.random() < FRESH:
            return draw(random, str(random.choice(languages())))
        return best[int(random.integers(len(best)))]

    form = source()
    # Chinese needs no spaces between its sentences; pieces of several languages do.
    gap = form.gap or " "
    return replace(form, gap=gap, opening=source().opening, closing=source().closing)


def _pick(matrices: FloatArray, threshold: float, count: int) -> list[int]:
    """Places of `count` of n proposals, from their probabilities for each answer, shape (a, n, n).

    They are picked one by one: each is the one that most answers tell from those before it, and of
    equals the one whose probabilities with them are lowest.
    """
    different = (matrices <= threshold).mean(axis=0)
    likeness = matrices.mean(axis=0)
    everyone = range(len(likeness))
    picked: list[int] = []
    for _ in range(count):
        beside = picked or list(everyone)
        rest = (k for k in everyone if k not in picked)
        picked.append(
            max(rest, key=lambda k: (different[k, beside].sum(), -likeness[k, beside].sum()))
        )
    return picked
