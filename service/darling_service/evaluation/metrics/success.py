"""How often a problem is solved when k rollouts may be tried."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import combinations, pairwise

import numpy as np

EXACT_SUBSETS = 3000
"""Up to so many subsets are all counted; of more, so many are drawn."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """P(at least one of k rollouts drawn from n without replacement is correct), c of n being so.

    1 - C(n - c, k) / C(n, k), the unbiased estimator (arXiv 2107.03374). NaN if k > n.
    """
    if k > n:
        return math.nan
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def majority_at_k(answers: Sequence[Hashable | None], correct: Sequence[bool], k: int) -> float:
    """P(the most frequent answer of k drawn rollouts is correct); tied answers share the credit.

    An answer is correct when a rollout that gives it is marked so. None, for no answer, is no vote;
    where nobody votes, the majority is wrong. Exact over all subsets of k
    where there are at most `EXACT_SUBSETS`, else the mean over that many seeded draws. NaN if
    k > n.
    """
    n = len(answers)
    if k > n:
        return math.nan
    right = {a for a, c in zip(answers, correct, strict=True) if c and a is not None}
    if math.comb(n, k) <= EXACT_SUBSETS:
        subsets = list(combinations(range(n), k))
    else:
        random = np.random.default_rng(0)
        subsets = [tuple(random.permutation(n)[:k].tolist()) for _ in range(EXACT_SUBSETS)]
    return math.fsum(_vote([answers[i] for i in s], right) for s in subsets) / len(subsets)


def _vote(answers: Sequence[Hashable | None], right: set[Hashable]) -> float:
    counts = Counter(answer for answer in answers if answer is not None)
    if not counts:
        return 0.0
    most = max(counts.values())
    leading = [answer for answer, count in counts.items() if count == most]
    return sum(answer in right for answer in leading) / len(leading)


def auc_at_k(n: int, c: int, k: int) -> float:
    """Mean height of the pass@k curve from 1 to k by the trapezoid rule (arXiv 2601.08763).

    1 / (K - 1) * sum of (p_j + p_{j+1}) / 2. NaN if k > n or k < 2.
    """
    if k > n or k < 2:
        return math.nan
    curve = [pass_at_k(n, c, j) for j in range(1, k + 1)]
    return math.fsum((a + b) / 2 for a, b in pairwise(curve)) / (k - 1)


def coverage_at_n(class_sizes: Sequence[int], drawn: int) -> float:
    """Cov@N: expected number of classes among `drawn` of the m correct rollouts.

    sum over classes of 1 - C(m - f, N) / C(m, N), f the class's size (arXiv 2606.29985).
    `class_sizes`: those of the correct rollouts, partitioned alone. NaN if N > m.
    """
    m = sum(class_sizes)
    if drawn > m or drawn < 1:
        return math.nan
    total = math.comb(m, drawn)
    return math.fsum(1.0 - math.comb(m - f, drawn) / total for f in class_sizes)
