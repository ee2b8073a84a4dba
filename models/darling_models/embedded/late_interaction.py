"""How well the salient tokens of two texts match, by the tuned encoder: late interaction.

Each text is encoded once. A token of one text is matched by the nearest of the other (ColBERT's
MaxSim, arXiv 2004.12832), both ways, tokens weighted by learned salience; beside that stands the
cosine of the salience-weighted sums. Every pair is compared by products whose shapes are its own,
so that its numbers are the same bits whatever the company. Sentences that both texts hold are left
out: rollouts of one policy share preambles, which would bury what differs.
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
    keys = [text.keys for text in texts]
    weights = [
        own.weights * np.where(np.isin(own.ids, prompt_ids), IN_PROMPT, np.float32(1))
        for own in keys
    ]
    pooled = [
        unit(own.rest + w @ own.whole.astype(np.float32))
        for own, w in zip(keys, weights, strict=True)
    ]
    sharing = _sharing([own.codes for own in keys])[rows, columns]
    compared = np.empty((len(rows), 3))
    for k, (i, j, shared) in enumerate(zip(rows.tolist(), columns.tolist(), sharing, strict=True)):
        a, b = keys[i], keys[j]
        if shared:
            left, right = _own(a, b.codes), _own(b, a.codes)
            if left.any() and right.any():
                compared[k] = _compare(
                    *(a.vectors[left], b.vectors[right], weights[i][left], weights[j][right]),
                    *(_pooled(a, weights[i], left), _pooled(b, weights[j], right)),
                )
                continue
        compared[k] = _compare(a.vectors, b.vectors, weights[i], weights[j], pooled[i], pooled[j])
    low, high, cosine = compared.T
    columns_of = (low, high, cosine, low * cosine)
    return {
        name: values.astype(np.float32)
        for name, values in zip(LATE_FEATURES, columns_of, strict=True)
    }


def _compare(
    a: Vectors, b: Vectors, a_weights: Vectors, b_weights: Vectors, a_sum: Vectors, b_sum: Vectors
) -> tuple[float, float, float]:
    similar = a @ b.T
    one = float(similar.max(axis=1) @ a_weights / max(float(a_weights.sum()), 1e-4))
    other = float(similar.max(axis=0) @ b_weights / max(float(b_weights.sum()), 1e-4))
    return min(one, other), max(one, other), float(a_sum @ b_sum)


def _own(keys: Keys, others: IntArray) -> Mask:
    """Which keys stand in sentences that the other text does not hold."""
    own: Mask = ~np.isin(keys.codes, others)[keys.sentence]
    return own


def _pooled(keys: Keys, weights: Vectors, kept: Mask) -> Vectors:
    return unit(weights[kept] @ keys.whole[kept].astype(np.float32))


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
