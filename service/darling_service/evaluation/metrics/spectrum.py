"""Variety in a space of embeddings: the Vendi score and mean distance."""

import math

import numpy as np

from darling_service.rewards.exact import FloatArray


def vendi(similarity: FloatArray, order: float = 1.0) -> float:
    """The Vendi score of an (n, n) positive semi-definite kernel with ones on its diagonal.

    exp of the Renyi entropy of order q of the eigenvalues of K / n (arXiv 2210.02410, 2310.12952):
    q = 1 exp(- sum l log l), q = inf 1 / max l, else exp(log(sum l^q) / (1 - q)). From 1, all the
    same, to n, all orthogonal.
    """
    values = np.clip(np.linalg.eigvalsh(similarity / len(similarity)), 0.0, None)
    values = values[values > 1e-12]
    if order == 1.0:
        return math.exp(-math.fsum(v * math.log(v) for v in values.tolist()))
    if math.isinf(order):
        return float(1.0 / values.max())
    return math.exp(math.log(math.fsum(v**order for v in values.tolist())) / (1.0 - order))


def embedding_diversity(similarity: FloatArray) -> float:
    """1 - mean cosine of two different rollouts. NaN for a single one."""
    n = len(similarity)
    if n < 2:
        return math.nan
    return float(1.0 - similarity[np.triu_indices(n, k=1)].mean())
