"""Labelled pairs, the same lengthened, partitions, and maths methods, measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from darling_models.evaluation.lengthen import TARGETS, lengthen, longest
from darling_models.evaluation.predict import Question, answers, of_groups, of_pairs
from darling_models.evaluation.regimes import REGIMES, pairs_within
from darling_models.evaluation.report import Figures, Section
from darling_models.figures.intervals import UNMEASURED, Interval, bootstrap
from darling_models.figures.labelled_pairs import labelled_pair_figures, labelled_pairs
from darling_models.figures.metrics import pair_metrics, partition_metrics
from darling_models.labelled_data import HumanPair, TeacherGroup
from darling_models.partitions.linkage import LINKAGES
from darling_models.progress import progress
from darling_models.protocol import EquivalenceClassifier, FloatArray, IntArray, all_pairs

Contenders = Mapping[str, EquivalenceClassifier]
Mask = NDArray[np.bool_]
Row = TypeVar("Row")

WORD_EDGES = (0, 100, 200, 300, 400)
MIN_PAIRS = 10
"""Pairs that a subset needs to be reported; fewer say nothing."""


@dataclass(frozen=True, slots=True)
class MeasuredPairs:
    """Labelled pairs with every contender's answers; what the plots are drawn from."""

    title: str
    similar: Mask
    scores: Mapping[str, FloatArray]
    thresholds: Mapping[str, float]

    def decisions(self, name: str) -> Mask:
        said: Mask = self.scores[name] > self.thresholds[name]
        return said

    def section(self, mask: Mask | None = None, subset: str = "") -> Section:
        rows = np.ones(len(self.similar), np.bool_) if mask is None else mask
        figures = {
            name: pair_metrics(scores[rows], self.decisions(name)[rows], self.similar[rows])
            for name, scores in self.scores.items()
        }
        title = f"{self.title}, {subset}" if subset else self.title
        return Section(title, int(rows.sum()), "pairs", figures)


def measure_pairs(contenders: Contenders, pairs: Sequence[HumanPair], title: str) -> MeasuredPairs:
    return MeasuredPairs(
        title,
        np.asarray([pair.similar for pair in pairs], dtype=np.bool_),
        {name: of_pairs(c, pairs, f"{title}: {name}") for name, c in contenders.items()},
        {name: c.info.threshold for name, c in contenders.items()},
    )


def labelers(pairs: Sequence[HumanPair]) -> Iterator[tuple[str, Mask]]:
    """Each labeler's pairs, when there is more than one."""
    names = sorted({pair.labeler for pair in pairs})
    for name in names if len(names) > 1 else []:
        mask = np.asarray([pair.labeler == name for pair in pairs])
        if mask.sum() >= MIN_PAIRS:
            yield f"labeler {name}", mask


def word_buckets(pairs: Sequence[HumanPair]) -> Iterator[tuple[str, Mask]]:
    """The pairs by the words of their longer side."""
    words = np.asarray([longest(pair) for pair in pairs], dtype=np.int64)
    for low, high in zip(WORD_EDGES, (*WORD_EDGES[1:], None), strict=True):
        mask = words >= low if high is None else (words >= low) & (words < high)
        name = f"from {low} words" if high is None else f"{low} to {high - 1} words"
        if mask.sum() >= MIN_PAIRS:
            yield name, mask


def pair_regimes(pairs: Sequence[HumanPair]) -> Iterator[tuple[str, Mask]]:
    """The pairs of each regime."""
    for title, belongs in REGIMES.items():
        mask = np.asarray([belongs(pair.a) and belongs(pair.b) for pair in pairs], dtype=np.bool_)
        if mask.sum() >= MIN_PAIRS:
            yield title, mask


def lengthened(
    contenders: Contenders, pairs: Sequence[HumanPair], most: int, seed: int
) -> Iterator[MeasuredPairs]:
    """At most `most` pairs brought to each of the target lengths."""
    for words in TARGETS:
        longer = sample(lengthen(pairs, words), most, seed)
        if len(longer) >= MIN_PAIRS:
            yield measure_pairs(contenders, longer, f"lengthened to {words} words")


def partitions(contenders: Contenders, groups: Sequence[TeacherGroup]) -> Iterator[Section]:
    """Agreement with the stored partitions, by linkage, and of their pairs by regime."""
    matrices = {name: of_groups(c, groups, f"groups: {name}") for name, c in contenders.items()}
    for linkage in LINKAGES:
        figures: dict[str, Figures] = {}
        for name, c in progress(contenders.items(), desc=f"{linkage} linkage"):
            figures[name] = partition_metrics(matrices[name], groups, c.info.threshold, linkage)
        several = sum(len(group.texts) > 1 for group in groups)
        yield Section(f"stored partitions, {linkage} linkage", several, "groups", figures)
    for title, belongs in REGIMES.items():
        pairs = [pairs_within(group.texts, belongs) for group in groups]
        if (count := sum(map(len, pairs))) >= MIN_PAIRS:
            yield Section(
                f"stored partitions, {title}",
                count,
                "pairs",
                {
                    name: labelled_pair_figures(
                        labelled_pairs(groups, matrices[name], pairs), c.info.threshold
                    )
                    for name, c in contenders.items()
                },
            )


def shares_equivalent(
    contenders: Contenders, problems: Sequence[tuple[str, Sequence[str]]], title: str
) -> Section:
    """The share of pairs within a problem that are decided equivalent, resampled by problem."""
    questions = []
    for prompt, solutions in problems:
        texts = tuple(dict.fromkeys(solutions))
        if len(texts) > 1:
            questions.append(Question(prompt, texts, all_pairs(len(texts))))
    figures = {}
    for name, c in contenders.items():
        said = [p > c.info.threshold for p in answers(c, questions, f"{title}: {name}")]
        figures[name] = {"judged_equivalent": _share(said)}
    return Section(title, sum(len(question.pairs) for question in questions), "pairs", figures)


def sample(rows: Sequence[Row], most: int | None, seed: int) -> list[Row]:
    """At most `most` rows, in their order."""
    if most is None or len(rows) <= most:
        return list(rows)
    kept = np.random.default_rng(seed).permutation(len(rows))[:most]
    return [rows[i] for i in sorted(kept.tolist())]


def _share(said: Sequence[Mask]) -> Interval:
    if not said:
        return UNMEASURED

    def measure(of: IntArray) -> list[float]:
        return [float(np.concatenate([said[i] for i in of]).mean())]

    return bootstrap(measure, len(said))[0]
