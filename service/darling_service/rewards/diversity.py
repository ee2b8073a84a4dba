"""Diversity d_i: how distinct rollout i is from its group, in [0, 1].

Source: DARLING (arXiv 2509.02534), equations 4 and 5, and its published reward code. In all of them
a group of one has d = 1, so its reward is its quality (the published code divides by zero there).

`among` (shape (n,), bool) restricts the comparison to some members, for example the correct ones:
each is compared with the other members only, and those left out get d = 0.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

from darling_service.rewards.exact import BoolArray, FloatArray, IntArray
from darling_service.rewards.rounding import is_flat


def partition_diversity(partition: IntArray, among: BoolArray | None = None) -> FloatArray:
    """d_i = (n - |C(i)|) / (n - 1), with |C(i)| the size of i's class. Shape (n,)."""
    member = _members(len(partition), among)
    n = int(member.sum())
    sizes = Counter(partition[member].tolist())
    others = [(n - sizes[c]) / (n - 1) if n > 1 else 1.0 for c in partition[member].tolist()]
    return _scatter(others, member)


def class_share(partition: IntArray, among: BoolArray | None = None) -> FloatArray:
    """d_i = 1 / |C(i)|: the rollouts of a class share what one of them would earn. Shape (n,).

    Source: benchmax, `rewards.diversity`, which divides the reward by the size of its class. Unlike
    the partition form it does not depend on n, and is never 0.
    """
    member = _members(len(partition), among)
    sizes = Counter(partition[member].tolist())
    return _scatter([1.0 / sizes[c] for c in partition[member].tolist()], member)


def pairwise_diversity(equivalence: FloatArray, among: BoolArray | None = None) -> FloatArray:
    """d_i = mean over j != i of (1 - e_ij): equation 4. Shape (n,).

    `equivalence` (n, n): 0/1 decisions, or calibrated probabilities for the soft form. Its diagonal
    is not read. Unlike the partition form it needs no transitivity, and classifier noise enters it
    linearly.
    """
    member = _members(len(equivalence), among)
    index = np.flatnonzero(member)
    n = len(index)
    others = [
        math.fsum(1.0 - equivalence[i, j] for j in index if j != i) / (n - 1) if n > 1 else 1.0
        for i in index
    ]
    # The exact sum of n - 1 terms in [0, 1], divided by n - 1, can still round an ulp past 1.
    return _scatter(np.clip(others, 0.0, 1.0), member)


def pairwise(
    equivalent: BoolArray, probabilities: FloatArray, among: BoolArray, *, soft: bool
) -> FloatArray:
    """`pairwise_diversity` of the decisions, or with `soft` of the probabilities. Shape (n,)."""
    return pairwise_diversity(probabilities if soft else equivalent.astype(np.float64), among)


def ngram_diversity(
    texts: Sequence[str], among: BoolArray | None = None, size: int = 4
) -> FloatArray:
    """The share of i's n-grams that no other rollout has: the paper's lexical baseline. Shape (n,).

    d_i = |ngrams(i) minus the union of ngrams(j), j != i| / (number of n-grams of i, with repeats),
    over white-space tokens. A text of fewer than `size` tokens counts as one n-gram, itself.
    """
    member = _members(len(texts), among)
    grams = [_ngrams(text, size) for text, inside in zip(texts, member, strict=True) if inside]
    owners = Counter(chain.from_iterable(set(g) for g in grams))
    others = [
        sum(owners[g] == 1 for g in set(own)) / len(own) if len(grams) > 1 else 1.0 for own in grams
    ]
    return _scatter(others, member)


def unlikelihood_diversity(logprobs: FloatArray, among: BoolArray | None = None) -> FloatArray:
    """(max - l_i) / (max - min): the least likely rollout gets 1, the likeliest 0. Shape (n,).

    `logprobs`: length-normalised (mean per token) log-probabilities. All equal, up to rounding:
    0.5 each, as published.
    """
    member = _members(len(logprobs), among)
    own = logprobs[member]
    if len(own) == 0:
        return _scatter([], member)
    if len(own) == 1:
        return _scatter([1.0], member)
    if is_flat(own):
        return _scatter(np.full(len(own), 0.5), member)
    high, low = float(own.max()), float(own.min())
    return _scatter((high - own) / (high - low), member)


def _members(n: int, among: BoolArray | None) -> BoolArray:
    return np.ones(n, dtype=np.bool_) if among is None else among


def _scatter(values: Sequence[float] | FloatArray, member: BoolArray) -> FloatArray:
    """Members' values in their places, 0 for the rest."""
    out = np.zeros(len(member), dtype=np.float64)
    out[member] = values
    return out


def _ngrams(text: str, size: int) -> list[tuple[str, ...]]:
    words = text.split()
    if len(words) < size:
        return [tuple(words)]
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
