"""How well the salient tokens of two texts match, by the tuned encoder: late interaction.

Each text is encoded once. A token of one text is matched by the nearest of the other (ColBERT's
MaxSim, arXiv 2004.12832), both ways, tokens weighted by learned salience; beside that stands the
cosine of the salience-weighted sums. Every pair is compared by products whose shapes depend on it
alone, so that its numbers are the same bits whatever the company. Sentences that both texts hold
are left out: rollouts of one policy share preambles, which would bury what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from darling_models.embedded.encoder import TokenizedText, Vectors
from darling_models.embedded.set_overlap import distinct
from darling_models.protocol import FloatArray, IntArray

MAX_KEYS = 96
"""Tokens of the greatest weight that are kept of a text, as when the built-in encoder was tuned;
`train --tune` compares all of a text's."""
IN_PROMPT = np.float32(0.3)
"""Weight of a token that the prompt holds too, as in training."""
SALIENCE_CLIP = 6.0
"""Bound of the salience before softplus."""
EVEN_SALIENCE = 0.54
"""Salience whose softplus is 1, so that every token counts by its idf alone."""
STEP = 16
"""The keys of a text are padded to a multiple of so many: pairs of equal shapes are multiplied
together, each as if it were alone."""
BLOCK = 64
"""Pairs that are multiplied together, so that their products stay in the processor's cache."""
CHUNK = 8192
"""Pairs whose sums are held at a time: those of a group of 512 would take 400 MB."""
ABSENT = np.float32(-4)
"""Added to the match of a key that does not count; matches are at least -1."""
MIN_WEIGHT = np.float32(1e-4)
"""Lower bound of a sum of weights that is divided by."""
LATE_FEATURES = ("late_low", "late_high", "late_cosine", "late_product")

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Corpus statistics and learned directions that descriptions are made with; part of the trained
    artefact."""

    idf: Vectors
    """Inverse document frequency of each token id, shape (vocabulary,)."""
    token_mean: Vectors
    """Mean unit token vector, shape (hidden,)."""
    projection: Vectors
    """Projection to k dimensions in which tokens are compared, applied to (unit token vector -
    `token_mean`). Shape (hidden, k)."""
    salience: Vectors
    """Linear weights on a token vector and a bias, shape (hidden + 1,). Softplus of the result is
    how much the token counts beside its idf."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The salient tokens of a text, in order of place."""

    vectors: Vectors
    """Unit projected vectors, shape (k, width)."""
    whole: NDArray[np.float16]
    """Token vectors as the encoder gives them, shape (k, hidden)."""
    weights: Vectors
    """Idf times salience, shape (k,)."""
    ids: IntArray
    """Token ids, shape (k,)."""
    sentence: IntArray
    """Which sentence of the text each stands in, shape (k,)."""
    rest: Vectors
    """Weighted sum of the vectors of all other tokens, shape (hidden,)."""
    codes: IntArray
    """A code of each sentence's words in order, shape (sentences,)."""

    @property
    def nbytes(self) -> int:
        arrays = (self.vectors, self.whole, self.weights, self.ids, self.sentence, self.codes)
        return sum(array.nbytes for array in arrays) + self.rest.nbytes


class Described(Protocol):
    @property
    def keys(self) -> Keys: ...


def unit(rows: NDArray[np.floating[Any]]) -> Vectors:
    """Rows scaled to length one."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Vectors = (rows / np.maximum(length, 1e-6)).astype(np.float32)
    return scaled


def keys_of(
    tokenized: TokenizedText, vectors: Vectors, starts: IntArray, codes: IntArray, lexicon: Lexicon
) -> Keys:
    """The keys of a text of (t, hidden) token vectors, whose sentences begin at the characters
    `starts` and have these codes."""
    raw = vectors @ lexicon.salience[:-1] + lexicon.salience[-1]
    weights = lexicon.idf[tokenized.ids] * np.log1p(
        np.exp(np.clip(raw, -SALIENCE_CLIP, SALIENCE_CLIP))
    )
    kept = np.sort(np.argsort(-weights, kind="stable")[:MAX_KEYS])
    others = np.ones(len(weights), dtype=np.bool_)
    others[kept] = False
    rest = weights[others] @ vectors[others]
    projected = (unit(vectors[kept]) - lexicon.token_mean) @ lexicon.projection
    return Keys(
        vectors=unit(projected),
        whole=vectors[kept].astype(np.float16),
        weights=weights[kept].astype(np.float32),
        ids=tokenized.ids[kept],
        sentence=np.searchsorted(starts, tokenized.starts[kept], side="right") - 1,
        rest=rest.astype(np.float32),
        codes=codes,
    )


def late_features(
    texts: Sequence[Described], prompt_ids: IntArray, rows: IntArray, columns: IntArray
) -> dict[str, Vectors]:
    """Each of `LATE_FEATURES` for the pairs (rows, columns) of texts, shape (m,)."""
    group = _Group.of([text.keys for text in texts], prompt_ids)
    compared = np.empty((len(rows), 3), dtype=np.float32)
    for start in range(0, len(rows), CHUNK):
        chunk = slice(start, start + CHUNK)
        compared[chunk] = _compare(group, rows[chunk], columns[chunk])
    low, high, cosine = compared.T
    return dict(zip(LATE_FEATURES, (low, high, cosine, low * cosine), strict=True))


@dataclass(frozen=True, slots=True)
class _Group:
    """The keys of n texts, padded to one length."""

    keys: Sequence[Keys]
    vectors: Vectors
    """Shape (n, k, width)."""
    weights: Vectors
    """Those of tokens that the prompt holds lowered, 0 where no key is, shape (n, k)."""
    real: Mask
    """Where a key is, shape (n, k)."""
    pooled: Vectors
    """Unit weighted sums of all token vectors, shape (n, hidden)."""
    stands: IntArray
    """The sentence of each key, as a column of `holds`, shape (n, k)."""
    holds: Mask
    """Which sentences each text holds, of all in which keys stand, shape (n, sentences)."""
    sharing: Mask
    """Which two texts hold a sentence in common, shape (n, n)."""

    @classmethod
    def of(cls, keys: Sequence[Keys], prompt_ids: IntArray) -> "_Group":
        n, longest = len(keys), max(len(own.ids) for own in keys)
        known = distinct(np.concatenate([own.codes[own.sentence] for own in keys]))
        vectors = np.zeros((n, _padded(longest), keys[0].vectors.shape[1]), dtype=np.float32)
        weights = np.zeros(vectors.shape[:2], dtype=np.float32)
        stands = np.zeros(weights.shape, dtype=np.int64)
        holds = np.zeros((n, len(known)), dtype=np.bool_)
        for i, own in enumerate(keys):
            count = len(own.ids)
            asked = np.isin(own.ids, prompt_ids)
            vectors[i, :count] = own.vectors
            weights[i, :count] = own.weights * np.where(asked, IN_PROMPT, np.float32(1))
            stands[i, :count] = np.searchsorted(known, own.codes[own.sentence])
            place = np.searchsorted(known, own.codes).clip(max=len(known) - 1)
            holds[i, place[known[place] == own.codes]] = True
        sums = [
            own.rest + w[: len(own.ids)] @ own.whole.astype(np.float32)
            for own, w in zip(keys, weights, strict=True)
        ]
        real = np.arange(weights.shape[1]) < np.asarray([len(own.ids) for own in keys])[:, None]
        sharing = _sharing([own.codes for own in keys])
        return cls(keys, vectors, weights, real, unit(np.stack(sums)), stands, holds, sharing)

    def own(self, texts: IntArray, others: IntArray) -> Mask:
        """Which keys of the texts stand in no sentence that the other text holds, shape (m, k)."""
        kept: Mask = self.real[texts] & ~self.holds[others[:, None], self.stands[texts]]
        return kept

    def sums(self, texts: IntArray, kept: Mask) -> Vectors:
        """Unit weighted sums of the kept keys' token vectors, shape (m, hidden).

        Each is a product of one row: in a product of several, a row rounds by its place.
        """
        summed = np.empty((len(texts), self.pooled.shape[1]), dtype=np.float32)
        order = np.argsort(texts, kind="stable")
        for at in np.split(order, np.flatnonzero(np.diff(texts[order])) + 1):
            i = texts[at[0]]
            whole = self.keys[i].whole.astype(np.float32)
            rows = (self.weights[i] * kept[at])[:, None, : len(whole)]
            summed[at] = (rows @ whole)[:, 0]
        return unit(summed)


def _compare(group: _Group, rows: IntArray, columns: IntArray) -> Vectors:
    """How the keys of each pair match from the side that they match less and more, and the cosine
    of the texts, shape (m, 3)."""
    kept, others = group.real[rows], group.real[columns]
    left, right = group.pooled[rows], group.pooled[columns]
    shared = np.flatnonzero(group.sharing[rows, columns])
    own, foreign = (
        group.own(texts[shared], beside[shared])
        for texts, beside in ((rows, columns), (columns, rows))
    )
    some = own.any(axis=1) & foreign.any(axis=1)  # else a text lies within the other
    if some.any():
        part = shared[some]
        kept[part], others[part] = own[some], foreign[some]
        left[part] = group.sums(rows[part], own[some])
        right[part] = group.sums(columns[part], foreign[some])
    compared = np.empty((len(rows), 3), dtype=np.float32)
    compared[:, 2] = (left * right).sum(axis=1)
    sizes = np.asarray([_padded(len(keys.ids)) for keys in group.keys])
    shapes = sizes[rows] * (MAX_KEYS + 1) + sizes[columns]
    for shape in np.unique(shapes).tolist():
        a, b = divmod(shape, MAX_KEYS + 1)
        members = np.flatnonzero(shapes == shape)
        for start in range(0, len(members), BLOCK):
            at = members[start : start + BLOCK]
            i, j = rows[at], columns[at]
            matched = _matched(
                *(group.vectors[i, :a], group.vectors[j, :b], kept[at, :a], others[at, :b]),
                *(group.weights[i, :a], group.weights[j, :b]),
            )
            compared[at, 0], compared[at, 1] = np.minimum(*matched), np.maximum(*matched)
    return compared


def _matched(
    a: Vectors, b: Vectors, kept: Mask, others: Mask, weights: Vectors, other_weights: Vectors
) -> tuple[Vectors, Vectors]:
    """The weighted means, over the kept keys of either side, of the best match that each has among
    those of the other, shape (m,) each."""
    similar = np.ascontiguousarray(a) @ np.ascontiguousarray(b).transpose(0, 2, 1)
    similar += np.where(others, np.float32(0), ABSENT)[:, None, :]
    one = _mean(similar.max(axis=2), weights * kept)
    similar += np.where(kept, np.float32(0), ABSENT)[:, :, None]
    return one, _mean(similar.max(axis=1), other_weights * others)


def _mean(values: Vectors, weights: Vectors) -> Vectors:
    weights = np.ascontiguousarray(weights)  # else the order of a sum depends on the other pairs
    total = np.multiply(values, weights, order="C").sum(axis=1)
    mean: Vectors = total / np.maximum(weights.sum(axis=1), MIN_WEIGHT)
    return mean


def _padded(count: int) -> int:
    """The number of keys that `count` are padded to; it depends on the text alone."""
    return -(-count // STEP) * STEP


def _sharing(codes: Sequence[IntArray]) -> Mask:
    """Which two texts share a sentence, (n, n)."""
    codes = [distinct(own) for own in codes]  # a line that is repeated is one entry, not squares
    ends = np.concatenate([[0], np.cumsum([len(own) for own in codes])])
    known, columns = np.unique(np.concatenate(codes), return_inverse=True)
    held = csr_matrix(
        (np.ones(len(columns), dtype=np.int64), columns, ends), (len(codes), len(known))
    )
    shared: FloatArray = (held @ held.T).toarray()
    return shared > 0
