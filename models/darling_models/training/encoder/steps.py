"""The steps of tuning: which labelled groups each of them reads."""

from collections.abc import Mapping, Sequence

import numpy as np

from darling_models.training.labelled_groups import LabelledGroup


def steps(
    groups: Sequence[LabelledGroup],
    shares: Mapping[int, float],
    count: int,
    each: int,
    random: np.random.Generator,
) -> list[list[LabelledGroup]]:
    """`count` steps of `each` groups. Sources are drawn by their shares, and the groups of each
    come in rounds of shuffled order."""
    by_source: dict[int, list[LabelledGroup]] = {}
    for group in groups:
        by_source.setdefault(group.source, []).append(group)
    sources = sorted(by_source)
    likely = np.asarray([shares[source] for source in sources])
    drawn = random.choice(sources, size=count * each, p=likely / likely.sum())
    rounds = {
        source: iter(_rounds(by_source[source], int((drawn == source).sum()), random))
        for source in sources
    }
    order = [next(rounds[source]) for source in drawn.tolist()]
    return [order[start : start + each] for start in range(0, len(order), each)]


def _rounds(
    groups: Sequence[LabelledGroup], wanted: int, random: np.random.Generator
) -> list[LabelledGroup]:
    order: list[int] = []
    while len(order) < wanted:
        order += random.permutation(len(groups)).tolist()
    return [groups[k] for k in order[:wanted]]
