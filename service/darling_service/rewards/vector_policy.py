"""Vector Policy Optimization: rollouts that hold several solutions, scored on several counts."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from darling_service.rewards.exact import FloatArray, mean
from darling_service.rewards.rounding import is_flat

DRAWS = 100
EPSILON = 1e-6


def vector_rewards(
    solutions: Sequence[FloatArray], prompt: str, draws: int = DRAWS, *, seed: int = 0
) -> FloatArray:
    """Mean over random weights w of the best solution's w . R (arXiv 2605.22817). Shape (n,).

    `solutions`: for each rollout an (m, k) matrix, m solutions scored on k counts; m may be 0,
    which scores 0. The weights, Dirichlet(1, ..., 1), are the same for the whole group and follow
    from its prompt and `seed`. Raises `ValueError` if rollouts disagree about k.
    """
    widths = {matrix.shape[1] for matrix in solutions if len(matrix)}
    if len(widths) > 1:
        raise ValueError(f"solutions are scored on {sorted(widths)} counts; all must be alike")
    if not widths:
        return np.zeros(len(solutions))
    digest = blake2b(f"{seed} {prompt}".encode(), digest_size=8).digest()
    weights = np.random.default_rng(int.from_bytes(digest)).dirichlet(
        np.ones(widths.pop()), size=draws
    )
    return np.asarray([mean((m @ weights.T).max(axis=0)) if len(m) else 0.0 for m in solutions])


def vector_advantages(rewards: FloatArray) -> FloatArray:
    """(r - mean) / (population deviation + 1e-6), shape (n,); 0 where that deviation is below 1e-6,
    as published, and where all r are equal up to rounding."""
    if is_flat(rewards):
        return np.zeros_like(rewards)
    centred = rewards - mean(rewards)
    spread = float(np.sqrt(mean(centred**2)))
    return np.zeros(len(rewards)) if spread < EPSILON else centred / (spread + EPSILON)
