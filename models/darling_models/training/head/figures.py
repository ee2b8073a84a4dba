"""The figures of a head on its held-out rows: of pairs, of partitions, and by category."""

from collections.abc import Mapping, Sequence

import numpy as np

from darling_models.figures.intervals import Interval
from darling_models.figures.metrics import grouped_auc, pair_metrics, partition_metrics
from darling_models.labelled_data import BehaviourGroup, TeacherGroup
from darling_models.partitions.linkage import LINKAGES
from darling_models.protocol import FloatArray, IntArray, Linkage, OperatingPoint
from darling_models.training.head.corpus import Corpus
from darling_models.training.head.crossval import HeldOut, Mask, stored_groups, upper
from darling_models.training.sources import names

DEFAULT_LINKAGE: Linkage = "average"
"""Without stored partitions to choose it by."""

Report = dict[str, dict[str, Interval]]


def measure(
    corpus: Corpus, held_out: HeldOut, thresholds: Mapping[OperatingPoint, float]
) -> Report:
    """Figures of every source that is a file; the sources that calibrate at each threshold."""
    folds = int(corpus.fold.max()) + 1
    prompts = np.repeat([group.prompt for group in corpus.groups], corpus.sizes)
    report: Report = {}
    for number, (source, name) in enumerate(
        zip(corpus.sources, names(corpus.sources), strict=True)
    ):
        rows = corpus.source == number
        if source.made_up is not None or not rows.any():
            continue
        title = f"{name}, {folds}-fold by prompt"
        for point in thresholds:
            if point != "balanced" and not source.calibration:
                continue
            report[_at(title, point)] = pair_metrics(
                held_out.probabilities[rows],
                held_out.decisions[point][rows],
                corpus.similar[rows],
                prompts[rows].tolist(),
            )
        stored = stored_groups(corpus, held_out.probabilities, number)
        if stored:
            report |= _partitions(stored, name, thresholds["balanced"])
    return report


def _at(title: str, point: OperatingPoint) -> str:
    return title if point == "balanced" else f"{title}, at the threshold for {point}"


def _partitions(
    stored: Sequence[tuple[TeacherGroup, FloatArray]], name: str, threshold: float
) -> Report:
    """AUC over all pairs of rollouts, equal ones among them, and partitions by each linkage."""
    groups, matrices = [group for group, _ in stored], [matrix for _, matrix in stored]
    auc = grouped_auc(
        [upper(matrix) for matrix in matrices],
        [same_upper(group.partition) for group in groups],
        [group.prompt for group in groups],
    )
    report: Report = {f"partitions of {name}": {"auc": auc}}
    for linkage in LINKAGES:
        report[_partitions_by(linkage, name)] = partition_metrics(
            matrices, groups, threshold, linkage
        )
    return report


def _partitions_by(linkage: Linkage, name: str) -> str:
    return f"partitions of {name}, {linkage} linkage"


def best_linkage(report: Report, corpus: Corpus) -> Linkage:
    """The linkage under which most pairs agree with the stored partitions of all sources."""

    def agreement(linkage: Linkage) -> float:
        titles = [_partitions_by(linkage, name) for name in names(corpus.sources)]
        return sum(report[t]["pair_agreement"].value for t in titles if t in report)

    return max(LINKAGES, key=lambda linkage: (agreement(linkage), linkage == DEFAULT_LINKAGE))


def by_category(corpus: Corpus, decided: Mask) -> str:
    """A table of the behaviours' decisions by category; "" where no source has behaviours."""
    names = [
        group.stored.category if isinstance(group.stored, BehaviourGroup) else ""
        for group in corpus.groups
    ]
    category = np.repeat(np.asarray(names), corpus.sizes)
    known = sorted(set(names) - {""})
    if not known:
        return ""
    rows = [(name, category == name) for name in known] + [("all", category != "")]
    lines = [_mistakes(name, decided[mask], corpus.similar[mask]) for name, mask in rows]
    head = ["| kind | pairs | accuracy | wrong merges | wrong splits |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines])


def _mistakes(name: str, decided: Mask, similar: Mask) -> str:
    merges, splits = (decided & ~similar).mean(), (~decided & similar).mean()
    return f"| {name} | {len(decided)} | {1 - merges - splits:.3f} | {merges:.1%} | {splits:.1%} |"


def same_upper(partition: IntArray) -> Mask:
    """Whether the rollouts of each pair i < j are in one class, in row order."""
    same: Mask = (partition[:, None] == partition[None, :])[np.triu_indices(len(partition), k=1)]
    return same
