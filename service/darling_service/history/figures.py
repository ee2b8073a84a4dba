"""The figures of a scored group: what tells whether a run's diversity collapses."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

import numpy as np

from darling_service.evaluation.metrics.classes import class_entropy, effective_classes
from darling_service.rewards.diversity import partition_diversity
from darling_service.rewards.exact import mean


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over groups, so that those of many are added up. A mean is one of them by `groups`, or,
    for quality and reward, by the number of rollouts that have one."""

    groups: int = 0
    rollouts: int = 0
    partial_groups: int = 0
    """Groups that were scored without all of their rollouts."""
    collapsed_groups: int = 0
    """Groups of two or more rollouts that are all in one class."""
    classes: int = 0
    diversity: float = 0.0
    """Mean diversity of each group's partition, before it is shaped, from 0 to 1."""
    effective_classes: float = 0.0
    """exp(entropy) of each group: the classes of even size that would be as varied. It is the Hill
    number of order 1 (Jost 2006), and the Vendi score of a kernel that is 1 within a class and 0
    between classes (arXiv 2210.02410)."""
    dominant_share: float = 0.0
    """The part of each group's rollouts that its largest class has, above 0 and up to 1."""
    entropy: float = 0.0
    """- sum p ln p over the shares p of each group's classes, in nats."""
    rewarded_rollouts: int = 0
    reward: float = 0.0
    distinct_rollouts: int = 0
    """Rollouts that have quality and are alone in their class."""
    distinct_quality: float = 0.0
    duplicated_rollouts: int = 0
    """Rollouts that have quality and share their class."""
    duplicated_quality: float = 0.0


NAMES = tuple(field.name for field in fields(Figures))
INTEGERS = frozenset(name for name in NAMES if isinstance(getattr(Figures(), name), int))
"""The figures that count something."""
values_of = attrgetter(*NAMES)
"""The figures as a tuple, in the order of `NAMES`."""


def figures_of(
    partition: Sequence[int],
    quality: Sequence[float] | None = None,
    rewards: Sequence[float] | None = None,
    partial: bool = False,
) -> Figures:
    """The figures of one group of n >= 1 rollouts; each sequence has n items."""
    sizes = Counter(partition)
    n = len(partition)
    rated = [] if quality is None else list(zip(partition, quality, strict=True))
    distinct = [value for number, value in rated if sizes[number] == 1]
    duplicated = [value for number, value in rated if sizes[number] > 1]
    return Figures(
        groups=1,
        rollouts=n,
        partial_groups=int(partial),
        collapsed_groups=int(n > 1 and len(sizes) == 1),
        classes=len(sizes),
        diversity=mean(partition_diversity(np.asarray(partition, dtype=np.int64))),
        effective_classes=effective_classes(partition),
        dominant_share=max(sizes.values()) / n,
        entropy=class_entropy(partition),
        rewarded_rollouts=0 if rewards is None else n,
        reward=sum(rewards or ()),
        distinct_rollouts=len(distinct),
        distinct_quality=sum(distinct),
        duplicated_rollouts=len(duplicated),
        duplicated_quality=sum(duplicated),
    )


def total(figures: Iterable[Figures]) -> Figures:
    """The figures of many groups together."""
    columns = zip(*map(values_of, figures), strict=True)
    return Figures(*(sum(column) for column in columns))
