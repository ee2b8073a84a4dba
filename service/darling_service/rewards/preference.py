"""DivPO: which two rollouts of a group to prefer one over the other (arXiv 2501.18101)."""

import numpy as np

from darling_service.rewards.exact import FloatArray
from darling_service.rewards.rounding import is_flat, levels, same


def preference_pair(
    quality: FloatArray, distinctness: FloatArray, share: float
) -> tuple[int, int] | None:
    """(chosen, rejected): the most distinct of the good, the least distinct of the bad.

    Good are those within `share` of the group's range of quality from its best, bad those within it
    from its worst; `share` is below one half, so that none is both. None where all are equally
    good. Ties go to higher (lower) quality, then to the lower index. Differences of rounding count
    for nothing.
    """
    if is_flat(quality):
        return None
    best, worst = float(quality.max()), float(quality.min())
    margin = share * (best - worst)
    good = np.flatnonzero((quality >= best - margin) | same(quality, best - margin)).tolist()
    bad = np.flatnonzero((quality <= worst + margin) | same(quality, worst + margin)).tolist()
    distinct, better = levels(distinctness), levels(quality)
    chosen = max(good, key=lambda i: (distinct[i], better[i], -i))
    rejected = min((i for i in bad if i != chosen), key=lambda i: (distinct[i], better[i], i))
    return chosen, rejected
