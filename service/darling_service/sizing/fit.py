"""Coefficients of the cost model from measured runs, by least squares on relative errors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from darling_service.sizing.cost import EncoderCost, PairCost
from darling_service.sizing.work import Work

Measured = Sequence[tuple[Work, float]]
"""Work, and the CPU seconds that it took."""


def fitted_encoder(measured: Measured) -> EncoderCost:
    """Raises `ValueError` for fewer runs than there are coefficients, or one without seconds."""
    rows = [(work.groups, work.texts, work.tokens, work.pairs) for work, _ in measured]
    return EncoderCost(*_fitted(rows, [taken for _, taken in measured]))


def fitted_pairs(measured: Measured, longest: int) -> PairCost:
    """Raises likewise."""
    rows = [(work.read_pairs, work.pair_tokens) for work, _ in measured]
    pair, token = _fitted(rows, [taken for _, taken in measured])
    return PairCost(pair, token, longest)


def _fitted(rows: Sequence[Sequence[float]], seconds: Sequence[float]) -> list[float]:
    """Coefficients of at least 0 with the least sum of squared relative errors."""
    if len(rows) < len(rows[0]):
        raise ValueError(f"{len(rows[0])} coefficients cannot be fitted to {len(rows)} runs")
    if min(seconds) <= 0:
        raise ValueError("a run took no seconds; measure more work at a time")
    taken = np.asarray(seconds, dtype=np.float64)
    relative: NDArray[np.float64] = np.asarray(rows, dtype=np.float64) / taken[:, None]
    # Amounts differ by orders of magnitude; columns of one size keep the solver's tolerance fair.
    scale = np.maximum(np.linalg.norm(relative, axis=0), np.finfo(np.float64).tiny)
    found, _ = nnls(relative / scale, np.ones(len(taken)))
    return [float(value) for value in found / scale]
