"""Which pairs single linkage still has to ask about.

Its classes are the connected components of the equivalent pairs, so that a pair whose texts are
connected already cannot change them. Pairs are asked in rounds, the likeliest first. A round holds
pairs that would join different components, and twice as many more than the round before, so that
there are few rounds (they cost waiting) even when nothing joins.
"""

import numpy as np

from darling_models.protocol import FloatArray, IntArray


class Components:
    """The components of n texts as answers come in."""

    def __init__(self, n: int, pairs: IntArray, likeness: FloatArray) -> None:
        """`pairs` (m, 2) may be asked about, in descending order of `likeness` (m,)."""
        self._label = np.arange(n)
        order = np.lexsort((pairs[:, 1], pairs[:, 0], -likeness))
        self._open: list[tuple[int, int]] = [(i, j) for i, j in pairs[order].tolist()]
        self._factor = 1

    def join(self, pairs: IntArray) -> None:
        """Learns that the texts of these pairs (m, 2) are equivalent."""
        for i, j in pairs.tolist():
            _join(self._label, i, j)

    def next_round(self) -> IntArray:
        """Pairs to ask about now, shape (m, 2); none when the components are final."""
        self._open = [(i, j) for i, j in self._open if self._label[i] != self._label[j]]
        joined = self._label.copy()
        budget = (len(np.unique(joined)) - 1) * self._factor
        joining, rest = [], []
        for i, j in self._open:
            if joined[i] != joined[j]:
                _join(joined, i, j)
                joining.append((i, j))
            else:
                rest.append((i, j))
        more = max(budget - len(joining), 0)
        self._open = rest[more:]
        self._factor *= 2
        return np.asarray(joining + rest[:more], dtype=np.int64).reshape(-1, 2)


def _join(label: IntArray, i: int, j: int) -> None:
    if label[i] != label[j]:
        label[label == label[j]] = label[i]
