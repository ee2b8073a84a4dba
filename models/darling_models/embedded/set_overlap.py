"""How far sets overlap: all kinds of sets of all texts in one sparse product."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from darling_models.embedded.encoder import Vectors
from darling_models.protocol import FloatArray, IntArray

CODE_BITS = 48
"""A code is below 2**48: three token ids of 16 bits, or a checksum."""


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
        return self._overlap(counted)

    def overlap_plain(self) -> tuple[FloatArray, FloatArray]:
        """The same, every code counting 1."""
        return self._overlap(np.ones(len(self.codes)))

    def _overlap(self, counted: FloatArray) -> tuple[FloatArray, FloatArray]:
        kinds, n = self.sizes.shape
        ends = self._ends()
        known, columns = np.unique(self.members, return_inverse=True)
        shape = (kinds * n, max(len(known), 1))
        weighted = csr_matrix((counted, columns, ends), shape=shape)
        plain = csr_matrix((np.ones(len(columns)), columns, ends), shape=shape)
        product = (weighted @ plain.T).tocoo()
        shared = np.zeros((kinds, n, n))
        kind, row = np.divmod(product.row, n)
        shared[kind, row, product.col % n] = product.data
        total = np.diagonal(shared, axis1=1, axis2=2)
        union = total[:, :, None] + total[:, None, :] - shared
        least = np.minimum(total[:, :, None], total[:, None, :])
        return shared / np.maximum(union, 1e-9), shared / np.maximum(least, 1e-9)

    def _ends(self) -> IntArray:
        """Where each set ends in `codes`, a zero before the first, shape (kinds * n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)])
