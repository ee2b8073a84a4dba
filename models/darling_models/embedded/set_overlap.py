"""How far sets overlap: all kinds of sets of all texts in one sparse product, or in small dense
ones."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from darling_models.embedded.encoder import Vectors
from darling_models.protocol import FloatArray, IntArray

CODE_BITS = 48
"""A code is below 2**48: three token ids of 16 bits, or a checksum."""
MAX_TABLE = 2**20
"""Numbers in the largest table of codes by texts; sparse products, which cost some 0.3 ms for the
smallest group, compare more. Counts are exact in both."""


def code_of(text: str) -> int:
    """A code of a text in a set."""
    return zlib.crc32(text.encode())


def codes_of(texts: Iterable[str]) -> IntArray:
    """Sorted distinct codes of the texts that are not empty."""
    codes = {code_of(text) for text in set(texts) if text}
    ordered = np.fromiter(codes, np.int64, len(codes))
    ordered.sort()
    return ordered


def distinct(codes: IntArray) -> IntArray:
    """The codes in order, each once.

    `np.unique` hashes integers: thirty times slower for many distinct ones, and it keeps other
    threads of the process waiting meanwhile, which sorting does not.
    """
    ordered = np.sort(codes)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


@dataclass(frozen=True, slots=True)
class Sets:
    """The same kinds of sets of codes for each of n texts."""

    sizes: IntArray
    """Number of codes in each set, shape (kinds, n)."""
    codes: IntArray
    """The codes of all sets, one kind after the other, text by text."""
    members: IntArray
    """The same codes with the kind in the bits above, so that no two kinds have one in common."""

    @classmethod
    def of(cls, texts: Sequence[Sequence[IntArray]]) -> "Sets":
        """`texts[i][k]` holds the distinct codes of text i's set of kind k."""
        sizes = np.asarray([[len(codes) for codes in sets] for sets in texts]).T
        codes = np.concatenate([sets[k] for k in range(len(sizes)) for sets in texts])
        kinds = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes.sum(axis=1))
        return cls(sizes, codes, kinds << CODE_BITS | codes)

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Which sets are empty, shape (kinds, n)."""
        nothing: NDArray[np.bool_] = self.sizes == 0
        return nothing

    def without(self, known: Sequence[IntArray]) -> "Sets":
        """The sets less the codes of `known[k]`, for each kind k."""
        return self._kept(~self._among(known))

    def within(self, known: Sequence[IntArray]) -> "Sets":
        """The codes of `known[k]` in the sets, for each kind k."""
        return self._kept(self._among(known))

    def _among(self, known: Sequence[IntArray]) -> NDArray[np.bool_]:
        taken = np.concatenate([k << CODE_BITS | codes for k, codes in enumerate(known)])
        return np.isin(self.members, taken)

    def _kept(self, kept: NDArray[np.bool_]) -> "Sets":
        count = np.concatenate([[0], np.cumsum(kept)])
        sizes = np.diff(count[self._ends()]).reshape(self.sizes.shape)
        return Sets(sizes, self.codes[kept], self.members[kept])

    def overlap(self, weighed: int, weights: Vectors) -> tuple[FloatArray, FloatArray]:
        """Jaccard similarity and containment (overlap over the smaller set), (kinds, n, n).

        Codes of the kind `weighed` count by `weights[code]`, all others 1.
        """
        n = self.sizes.shape[1]
        ends = self._ends()
        own = slice(ends[weighed * n], ends[(weighed + 1) * n])
        counted = np.ones(len(self.codes))
        counted[own] = weights[self.codes[own]]

        known, columns = np.unique(self.members, return_inverse=True)
        return _shares(self._product(counted, columns, self, columns, len(known)))

    def overlap_plain(self) -> tuple[FloatArray, FloatArray]:
        """The same, every code counting 1."""
        return _shares(self.shared(self))

    def shared(self, others: "Sets") -> FloatArray:
        """How many codes the sets have in common with `others` of their kinds, (kinds, n, n)."""
        kinds, n = self.sizes.shape
        both = [self.members] if others is self else [self.members, others.members]
        known, columns = np.unique(np.concatenate(both), return_inverse=True)
        left, right = columns[: len(self.members)], columns[len(columns) - len(others.members) :]
        if len(known) * n > MAX_TABLE:
            ones = np.ones(len(self.codes))
            return self._product(ones, left, others, right, len(known))
        ends = np.searchsorted(known, np.arange(kinds + 1, dtype=np.int64) << CODE_BITS)
        mine, theirs = self._table(left, len(known)), others._table(right, len(known))
        return np.stack([mine[a:b].T @ theirs[a:b] for a, b in pairwise(ends.tolist())])

    def _table(self, columns: IntArray, known: int) -> FloatArray:
        """1 where a text has a code, (known, n)."""
        kinds, n = self.sizes.shape
        table = np.zeros((known, n))
        table[columns, np.repeat(np.tile(np.arange(n), kinds), self.sizes.ravel())] = 1
        return table

    def _product(
        self, counted: FloatArray, left: IntArray, others: "Sets", right: IntArray, known: int
    ) -> FloatArray:
        """The sums of `counted` over the codes in common, (kinds, n, n). `left` and `right` number
        the codes of both sides below `known`."""
        kinds, n = self.sizes.shape
        shape = (kinds * n, max(known, 1))
        weighted = csr_matrix((counted, left, self._ends()), shape=shape)
        plain = csr_matrix((np.ones(len(right)), right, others._ends()), shape=shape)
        product = (weighted @ plain.T).tocoo()
        shared = np.zeros((kinds, n, n))
        kind, row = np.divmod(product.row, n)
        shared[kind, row, product.col % n] = product.data
        return shared

    def _ends(self) -> IntArray:
        """Where each set ends in `codes`, a zero before the first, shape (kinds * n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)])


def _shares(shared: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Jaccard similarity and containment of sets that share so much, (kinds, n, n)."""
    total = np.diagonal(shared, axis1=1, axis2=2)
    union = total[:, :, None] + total[:, None, :] - shared
    least = np.minimum(total[:, :, None], total[:, None, :])
    return shared / np.maximum(union, 1e-9), shared / np.maximum(least, 1e-9)
