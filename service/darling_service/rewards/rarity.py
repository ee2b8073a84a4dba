"""Credit for the rare: by log-probability, by class, by answer, and by visits over a run."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from darling_service.rewards.exact import BoolArray, FloatArray, IntArray
from darling_service.rewards.rounding import levels

UNLIKELINESS = 0.25
"""The published weight of the rank."""
BASELINE = 0.5
"""The published baseline of exploration by visits."""


def unlikeliness_rewards(
    quality: FloatArray, logprobs: FloatArray, *, rank_weight: float = UNLIKELINESS
) -> FloatArray:
    """GRPO-unlikeliness: r_i (1 - rank_weight * rank_i / n) where r_i > 0 (arXiv 2506.02355).

    rank_i is 0 for the least likely rollout, by `logprobs`, mean log-probabilities per token. Ties
    share their mean rank, so that the order of the rollouts decides nothing. Shape (n,).
    """
    n = len(quality)
    level = levels(logprobs)
    lower = (level[:, None] > level[None, :]).sum(axis=1)
    equal = (level[:, None] == level[None, :]).sum(axis=1)
    rank = lower + (equal - 1) / 2
    return np.where(quality > 0, quality * (1.0 - rank_weight * rank / n), quality)


def uniqueness_weighted(
    advantages: FloatArray,
    partition: IntArray,
    alpha: float,
    only_positive: bool = True,
) -> FloatArray:
    """Uniqueness-aware RL: w_i A_i with w_i = |C(i)|^-alpha (arXiv 2601.08763). Shape (n,).

    Published, the weight multiplies negative advantages too, and so punishes a *common* wrong
    strategy least; `only_positive` leaves those as they are. So does class -1, which stands for
    rollouts outside `among`. The sum is no longer 0.
    """
    sizes = {**Counter(partition.tolist()), -1: 1}
    weights = np.asarray([float(sizes[c]) ** -alpha for c in partition.tolist()])
    if only_positive:
        return np.where(advantages > 0, weights * advantages, advantages)
    return weights * advantages


def gapo_rewards(
    correct_outcomes: Sequence[Hashable], correct: BoolArray, *, support: int
) -> FloatArray:
    """GAPO: R_i = 1 - (f_i - 1 / L) for a correct rollout, -1 for others (EMNLP 2025, 1649).

    f_i is the share of i's outcome among the correct rollouts, L = `support` the number of valid
    outcomes that the prompt has. Correct rollouts without an answer share one outcome, so that
    hiding answers does not pay. Shape (n,).
    """
    good = [a for a, ok in zip(correct_outcomes, correct, strict=True) if ok]
    counts = Counter(good)
    return np.asarray(
        [
            1.0 - (counts[a] / len(good) - 1.0 / support) if ok else -1.0
            for a, ok in zip(correct_outcomes, correct, strict=True)
        ]
    )


def majority(answers: Sequence[str], valid: BoolArray) -> BoolArray:
    """Who gives the answer that most of the valid rollouts give, shape (n,).

    Of answers given equally often the first by alphabet, so that the order decides nothing.
    """
    counts = Counter(a for a, ok in zip(answers, valid, strict=True) if ok)
    if not counts:
        return np.zeros(len(answers), dtype=np.bool_)
    most = min(counts, key=lambda answer: (-counts[answer], answer))
    return np.asarray([a == most for a in answers], dtype=np.bool_) & valid


def batch_exploration(outcomes: Sequence[Hashable]) -> FloatArray:
    """Outcome-based exploration, batch form: -1/n * #{j != i: a_j = a_i} (arXiv 2509.06941).

    A bonus to add to advantages, outside their normalisation. Shape (n,).
    """
    counts = Counter(outcomes)
    return np.asarray([-(counts[a] - 1) / len(outcomes) for a in outcomes])


def visit_exploration(visits: IntArray, *, exploration_baseline: float = BASELINE) -> FloatArray:
    """Outcome-based exploration, UCB with a constant baseline: min(1, sqrt(1 / N)) - b0.

    b0 is `exploration_baseline`. `visits`: how often each rollout's answer was given to this
    prompt in earlier steps of the run; 1 - b0 where never. A bonus to add to advantages, outside
    their normalisation: added to rewards before centring, b0 would vanish (arXiv 2509.06941,
    UCB-Con). Shape (n,).
    """
    return np.asarray(
        [min(1.0, math.sqrt(1.0 / max(n, 1))) - exploration_baseline for n in visits.tolist()]
    )


def smoothing_exploration(
    correct: BoolArray, logprobs: FloatArray, *, wrong_ratio: float = 1.0
) -> FloatArray:
    """DS-GRPO, differential smoothing: -l_i for a correct rollout, `wrong_ratio` * l_i for a wrong
    one (arXiv 2511.19942, equation 6). Shape (n,).

    l is the log-probability under the policy that sampled, so that unlikely right rollouts gain and
    unlikely wrong ones lose. Times `exploration_weight`, gamma_p of the paper, it is added to
    advantages; gamma_n is `exploration_weight` * `wrong_ratio`.
    """
    return np.where(correct, -logprobs, wrong_ratio * logprobs)
