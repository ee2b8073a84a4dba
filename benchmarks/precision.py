"""Measures how bfloat16 changes the embedded classifier, on labelled pairs and stored groups.

    python -m benchmarks.precision PAIRS [--groups GROUPS --every 20]

PAIRS and GROUPS are files as `darling-reward train` takes them. The CPU must have bfloat16.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from darling_models.evaluation.predict import of_groups, of_pairs
from darling_models.figures.metrics import contents
from darling_models.labelled_data import HumanPair, TeacherGroup, read_groups, read_pairs
from darling_models.options import ModelOptions, Runtime
from darling_models.partitions.linkage import partition
from darling_models.protocol import EquivalenceClassifier, FloatArray, IntArray
from darling_models.registry import load
from darling_models.training.head.crossval import upper


@dataclass(frozen=True, slots=True)
class Answers:
    pairs: FloatArray
    """P(equivalent) of each labelled pair."""
    inside: FloatArray
    """P(equivalent) of all pairs of all groups."""
    partitions: list[IntArray]
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--groups", type=Path)
    parser.add_argument("--every", type=int, default=20, help="of the groups, one in so many")
    given = parser.parse_args()
    pairs = read_pairs(given.pairs)
    groups = read_groups(given.groups)[:: given.every] if given.groups else []
    runtimes: tuple[Runtime, ...] = ("float32", "bfloat16")
    made = {name: load("embedded", ModelOptions(runtime=name)) for name in runtimes}
    found = {name: answers(classifier, pairs, groups) for name, classifier in made.items()}
    labels = [pair.similar for pair in pairs]
    for name, got in found.items():
        rand = [
            adjusted_rand_score(group.partition, own)
            for group, own in zip(groups, got.partitions, strict=True)
        ]
        auc = roc_auc_score(labels, got.pairs)
        agreed = f", adjusted Rand {np.mean(rand):.4f}" if rand else ""
        print(f"{name}: AUC on labelled pairs {auc:.4f}{agreed}, {got.seconds:.0f} s")
    compare(found["float32"], found["bfloat16"], made["float32"].info.threshold)


def answers(
    classifier: EquivalenceClassifier, pairs: list[HumanPair], groups: list[TeacherGroup]
) -> Answers:
    started = time.perf_counter()
    info = classifier.info
    labelled = of_pairs(classifier, pairs, "pairs")
    matrices = of_groups(classifier, groups, "groups")
    partitions = [
        partition(matrix, info.threshold, info.linkage, contents(group.texts))
        for matrix, group in zip(matrices, groups, strict=True)
    ]
    inside = np.concatenate([np.empty(0), *map(upper, matrices)])
    return Answers(labelled, inside, partitions, time.perf_counter() - started)


def compare(exact: Answers, near: Answers, threshold: float) -> None:
    a, b = (np.concatenate([answer.pairs, answer.inside]) for answer in (exact, near))
    both = zip(exact.partitions, near.partitions, strict=True)
    changed = sum(not np.array_equal(x, y) for x, y in both)
    print(
        f"of {len(a)} decisions {int(np.sum((a > threshold) != (b > threshold)))} flipped; "
        f"P moved by {np.abs(a - b).mean():.4f} on average, {np.abs(a - b).max():.3f} at most; "
        f"{changed} of {len(exact.partitions)} partitions changed"
    )


if __name__ == "__main__":
    main()
