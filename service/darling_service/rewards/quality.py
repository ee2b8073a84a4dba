"""Quality: the task's own reward for each rollout, before diversity is looked at."""

from collections.abc import Sequence

import numpy as np

from darling_service.rewards.exact import FloatArray, deviation, mean
from darling_service.rewards.rounding import is_flat


def from_correctness(correct: Sequence[bool]) -> FloatArray:
    """1 for a correct rollout, 0 for a wrong one. Shape (n,)."""
    return np.asarray(correct, dtype=np.float64)


def zscore(values: FloatArray) -> FloatArray:
    """(x - mean) / sample standard deviation within the group; all zeros where all x are equal, up
    to rounding.

    The published code scales by z/sum instead, which leaves a wrong answer at 0 rather than at its
    negative z, and then overwrites the result (bugs 3 and 4 of `docs/decisions.md`).
    """
    if is_flat(values):
        return np.zeros_like(values)
    return (values - mean(values)) / deviation(values)
