"""Sums that do not depend on the order of their terms.

A floating-point sum rounds differently when its terms are permuted. `math.fsum` rounds once, from
the exact sum, so a permuted group gets bit-identical rewards.
"""

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def mean(values: FloatArray) -> float:
    """Mean of a non-empty 1-d array, independent of its order and exact for constant input."""
    if np.all(values == values[0]):
        return float(values[0])
    return math.fsum(values) / len(values)


def deviation(values: FloatArray) -> float:
    """Sample standard deviation (divisor n - 1, as `torch.std`); 0 for equal values."""
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - 1))
