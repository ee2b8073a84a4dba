"""Behaviours: small groups, each written to show one thing that a classifier does right or wrong.

A group holds hard positives, which give one answer in very different words, and hard negatives,
which give another answer in nearly the same words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darling_models.evaluation.predict import of_groups
from darling_models.evaluation.regimes import MATHS, REGIMES, pairs_within
from darling_models.evaluation.report import Breakdown, Section
from darling_models.figures.labelled_pairs import labelled_pair_figures, labelled_pairs
from darling_models.figures.metrics import partition_metrics
from darling_models.labelled_data import BehaviourGroup
from darling_models.protocol import (
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    ModelInfo,
    all_pairs,
)

PARTITION_FIGURES = ("adjusted_rand", "class_error")
"""Figures of a group's partition under the classifier's own linkage, as means over groups."""
SIDE_BY_SIDE = ("accuracy", "wrong_merges", "wrong_splits")
"""Figures that the table shows for each category."""


@dataclass(frozen=True, slots=True)
class MeasuredBehaviours:
    """Behaviours with every contender's probabilities."""

    groups: Sequence[BehaviourGroup]
    matrices: Mapping[str, Sequence[FloatArray]]
    """Each contender's (n, n) probabilities of each group."""
    infos: Mapping[str, ModelInfo]

    def sections(self) -> Iterator[Section | Breakdown]:
        """All groups together, then their categories side by side, then the regimes."""
        yield self._section("behaviours", range(len(self.groups)))
        categories = {
            name: [k for k, group in enumerate(self.groups) if group.category == name]
            for name in sorted({group.category for group in self.groups})
        }
        yield Breakdown(
            "behaviours by category",
            {name: self._section(f"behaviours, {name}", k) for name, k in categories.items()},
            SIDE_BY_SIDE,
        )
        for title in REGIMES:
            pairs = [_pairs_in(title, group) for group in self.groups]
            if count := sum(map(len, pairs)):
                figures = {
                    name: labelled_pair_figures(
                        labelled_pairs(self.groups, self.matrices[name], pairs), info.threshold
                    )
                    for name, info in self.infos.items()
                }
                yield Section(f"behaviours, {title}", count, "pairs", figures)

    def mistakes(self, name: str) -> Iterator[dict[str, Any]]:
        """The pairs that the contender decides otherwise than labelled, as lines of JSON."""
        threshold = self.infos[name].threshold
        for group, matrix in zip(self.groups, self.matrices[name], strict=True):
            for i, j in all_pairs(len(group.texts)).tolist():
                similar = bool(group.partition[i] == group.partition[j])
                if (matrix[i, j] > threshold) != similar:
                    yield {
                        "id": group.id,
                        "category": group.category,
                        "prompt": group.prompt,
                        "generation_0": group.texts[i],
                        "generation_1": group.texts[j],
                        "similar": int(similar),
                        "probability": round(float(matrix[i, j]), 6),
                    }

    def _section(self, title: str, which: Sequence[int]) -> Section:
        groups = [self.groups[k] for k in which]
        pairs = [all_pairs(len(group.texts)) for group in groups]
        figures = {}
        for name, info in self.infos.items():
            matrices = [self.matrices[name][k] for k in which]
            partitions = partition_metrics(matrices, groups, info.threshold, info.linkage)
            figures[name] = {
                **labelled_pair_figures(labelled_pairs(groups, matrices, pairs), info.threshold),
                **{figure: partitions[figure] for figure in PARTITION_FIGURES},
            }
        return Section(title, sum(len(group.texts) > 1 for group in groups), "groups", figures)


def measure_behaviours(
    contenders: Mapping[str, EquivalenceClassifier], groups: Sequence[BehaviourGroup]
) -> MeasuredBehaviours:
    """Raises what the classifiers raise."""
    return MeasuredBehaviours(
        groups,
        {name: of_groups(c, groups, f"behaviours: {name}") for name, c in contenders.items()},
        {name: c.info for name, c in contenders.items()},
    )


def _pairs_in(regime: str, group: BehaviourGroup) -> IntArray:
    """Pairs of the group that belong to a regime. Everything in a category of maths is maths,
    though an answer such as "50" shows no calculation."""
    if regime == MATHS and MATHS in group.category:
        return all_pairs(len(group.texts))
    return pairs_within(group.texts, REGIMES[regime])
