"""Differences of rounding are no signal.

Numbers that are equal in exact arithmetic differ after it is done in floating point: 0.1 + 0.2 is
not 0.3. Whatever divides by a group's spread, ranks its values or compares them with a bound would
turn such a difference into a whole reward, so all of them ask here which values are equal.
"""

import numpy as np

from darling_service.rewards.exact import BoolArray, FloatArray, IntArray

RESOLUTION = 1e-6
"""Largest difference of rounding: this fraction of the larger of two values, and of 1 where both
are smaller. Trainers compute rewards in float32, which resolves 1.2e-7 of a value, and published
GRPO code adds 1e-6 to the deviation that it divides by."""


def is_flat(values: FloatArray) -> bool:
    """Whether the values differ by rounding at most, shape (n,); so do none and one."""
    return len(values) == 0 or bool(same(values.max(), values.min()))


def same(a: FloatArray | float, b: FloatArray | float) -> BoolArray:
    """Where two values differ by rounding at most, in the shape of their difference."""
    larger = np.maximum(np.maximum(np.abs(a), np.abs(b)), 1.0)
    return np.asarray(np.abs(np.subtract(a, b)) <= RESOLUTION * larger, dtype=np.bool_)


def levels(values: FloatArray) -> IntArray:
    """Ranks from 0 that values share where they, or those between, differ by rounding at most.

    Shape (n,). A larger value has the same level or a higher one.
    """
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    ranks = np.zeros(len(values), dtype=np.int64)
    ranks[order[1:]] = np.cumsum(~same(ascending[1:], ascending[:-1]))
    return ranks
