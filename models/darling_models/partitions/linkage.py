"""Partitions: pairwise probabilities into classes.

A partition is an integer class per rollout, numbered by first occurrence. Two rollouts are decided
equivalent when their probability is *above* the threshold, as in the published code.
"""

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components

from darling_models.protocol import FloatArray, IntArray, Linkage

LINKAGES: tuple[Linkage, ...] = get_args(Linkage)


def partition(
    probabilities: FloatArray,
    threshold: float,
    method: Linkage,
    content: IntArray | None = None,
) -> IntArray:
    """Classes of n rollouts, shape (n,), from a symmetric (n, n) matrix of probabilities.

    - `single`: connected components of the decisions (DARLING's union-find). One false positive
      merges two classes.
    - `average`: agglomerative, merging while the mean probability between two classes is above the
      threshold.
    - `complete`: likewise with the smallest probability, so every pair of a class is equivalent.
    - `greedy`: each rollout joins the first class whose *first member* it is equivalent to
      (NoveltyBench). By its definition it depends on the order of the rollouts.

    `content`, shape (n,), labels identical texts, which share a class whatever the threshold. With
    it, `single`, `average` and `complete` do not depend on the order of the rollouts: ties between
    different texts are broken by label.
    """
    n = len(probabilities)
    if n <= 1:
        return np.zeros(n, dtype=np.int64)
    if content is None:
        content = np.arange(n, dtype=np.int64)
    same = content[:, None] == content[None, :]
    if method == "greedy":
        return _greedy((probabilities > threshold) | same)
    if method == "single":
        return _single((probabilities > threshold) | same)
    # Copies are nearer than anything else, so that no tie can put them into two classes.
    distance = np.where(same, 0.0, 2.0 - probabilities)
    order = np.argsort(content, kind="stable")
    labels = np.empty(n, dtype=np.int64)
    labels[order] = _agglomerate(distance[np.ix_(order, order)], 2.0 - threshold, method)
    return number_by_first_occurrence(labels)


def number_by_first_occurrence(labels: Sequence[int] | NDArray[np.integer]) -> IntArray:
    """The same partition with classes 0, 1, 2, ... in the order they first appear."""
    numbers: dict[int, int] = {}
    return np.asarray([numbers.setdefault(int(c), len(numbers)) for c in labels], dtype=np.int64)


def _greedy(equivalent: NDArray[np.bool_]) -> IntArray:
    labels = np.empty(len(equivalent), dtype=np.int64)
    exemplars: list[int] = []
    for i, row in enumerate(equivalent):
        match = next((c for c, exemplar in enumerate(exemplars) if row[exemplar]), None)
        if match is None:
            match = len(exemplars)
            exemplars.append(i)
        labels[i] = match
    return labels


def _single(equivalent: NDArray[np.bool_]) -> IntArray:
    _, labels = connected_components(equivalent, directed=False)
    return number_by_first_occurrence(labels)


def _agglomerate(distance: FloatArray, height: float, method: Linkage) -> IntArray:
    tree = linkage(distance[np.triu_indices(len(distance), k=1)], method=method)
    # "Above the threshold", not "at least": a pair exactly at `height` is not merged.
    return np.asarray(fcluster(tree, t=np.nextafter(height, 0.0), criterion="distance"))
