"""What two texts do not have in common, sentence by sentence.

Rollouts of one policy share preambles, headings and closing words. On the whole texts those look
like agreement and bury what differs; so sentences that both texts hold are taken out, and what is
left of the two is compared beside the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from darling_models.embedded.encoder import Vectors
from darling_models.embedded.set_overlap import distinct
from darling_models.protocol import IntArray

MOST = 1024
"""Sentences kept of a text; those of a longer one are merged with their neighbours."""

REMAINS = (
    *("shared_low", "shared_high", "rest_none", "rest_one_sided"),
    *("rest_document", "rest_prompt_low", "rest_prompt_high", "rest_tokens_low", "rest_tokens_gap"),
    *("rest_mean_low", "rest_mean_high", "rest_max", "rest_share60_low", "rest_share80_low"),
    *("rest_token_jaccard", "rest_token_containment"),
    *("rest_new_token_jaccard", "rest_new_token_containment"),
)
WHOLE = {
    "rest_document": "document",
    "rest_prompt_low": "prompt_low",
    "rest_prompt_high": "prompt_high",
    "rest_mean_low": "sentence_mean_low",
    "rest_mean_high": "sentence_mean_high",
    "rest_max": "sentence_max",
    "rest_share60_low": "sentence_share60_low",
    "rest_share80_low": "sentence_share80_low",
    "rest_token_jaccard": "token_jaccard",
    "rest_token_containment": "token_containment",
    "rest_new_token_jaccard": "new_token_jaccard",
    "rest_new_token_containment": "new_token_containment",
}
"""The feature of the whole texts that stands in where no sentence is shared."""


@dataclass(frozen=True, slots=True)
class Sentences:
    """A text cut at every sentence end and line break."""

    codes: IntArray
    """A code of each sentence's words in order, shape (s,)."""
    vectors: Vectors
    """Unit mean token vectors, shape (s, hidden)."""
    tokens: Vectors
    """Number of tokens of each sentence, shape (s,)."""
    ids: IntArray
    """The distinct token ids of each sentence, one sentence after the other."""
    edges: IntArray
    """Where each sentence's ids begin and end in `ids`, shape (s + 1,)."""

    @property
    def nbytes(self) -> int:
        arrays = (self.codes, self.vectors, self.tokens, self.ids, self.edges)
        return sum(array.nbytes for array in arrays)


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a text without some sentences."""

    vectors: Vectors
    share: Vectors
    """Each sentence's share of the remaining tokens, shape (sentences left,)."""
    document: Vectors
    """Unit mean token vector, shape (hidden,)."""
    ids: IntArray
    """Sorted distinct token ids."""
    tokens: float


class Described(Protocol):
    @property
    def split(self) -> Sentences: ...


def compare_remains(
    texts: Sequence[Described],
    prompt: Vectors,
    prompt_ids: IntArray,
    idf: Vectors,
    rows: IntArray,
    columns: IntArray,
    whole: dict[str, Vectors],
) -> dict[str, Vectors]:
    """Each feature of `REMAINS` for the pairs (rows, columns) of texts, shape (m,).

    `prompt` is its unit document vector; `whole` the features of the whole texts.
    """
    values = {name: np.zeros(len(rows), dtype=np.float32) for name in REMAINS}
    for name, stand_in in WHOLE.items():
        values[name] = whole[stand_in].copy()
    tokens = np.log1p([text.split.tokens.sum() for text in texts])
    values["rest_tokens_low"] = np.minimum(tokens[rows], tokens[columns])
    values["rest_tokens_gap"] = np.abs(tokens[rows] - tokens[columns])
    for k in np.flatnonzero(_sharing([text.split.codes for text in texts])[rows, columns]).tolist():
        a, b = texts[rows[k]].split, texts[columns[k]].split
        for name, value in _of_pair(a, b, prompt, prompt_ids, idf).items():
            values[name][k] = value
    return values


def _sharing(codes: Sequence[IntArray]) -> IntArray:
    """How many sentences each two texts share, (n, n)."""
    ends = np.concatenate([[0], np.cumsum([len(c) for c in codes])])
    known, columns = np.unique(np.concatenate(codes), return_inverse=True)
    held = csr_matrix(
        (np.ones(len(columns), dtype=np.int64), columns, ends), (len(codes), len(known))
    )
    shared: IntArray = (held @ held.T).toarray()
    return shared


def _of_pair(
    a: Sentences, b: Sentences, prompt: Vectors, prompt_ids: IntArray, idf: Vectors
) -> dict[str, float]:
    """Features of two texts that share a sentence at least."""
    common_a, common_b = np.isin(a.codes, b.codes), np.isin(b.codes, a.codes)
    shared = [float(s.tokens[c].sum() / s.tokens.sum()) for s, c in ((a, common_a), (b, common_b))]
    left, right = _remainder(a, ~common_a), _remainder(b, ~common_b)
    values = {
        "shared_low": min(shared),
        "shared_high": max(shared),
        "rest_none": float(left.tokens == right.tokens == 0),
        "rest_one_sided": float((left.tokens == 0) != (right.tokens == 0)),
        "rest_tokens_low": float(np.log1p(min(left.tokens, right.tokens))),
        "rest_tokens_gap": float(abs(np.log1p(left.tokens) - np.log1p(right.tokens))),
    }
    if left.tokens == 0 or right.tokens == 0:
        # Nothing is left to differ, or one has all that the other says.
        return values | dict.fromkeys(WHOLE, values["rest_none"])
    cosines = left.vectors @ right.vectors.T
    best = (cosines.max(axis=1), left.share), (cosines.max(axis=0), right.share)
    means = [float(match @ share) for match, share in best]
    near = [float(left.document @ prompt), float(right.document @ prompt)]
    values |= {
        "rest_document": float(left.document @ right.document),
        "rest_prompt_low": min(near),
        "rest_prompt_high": max(near),
        "rest_mean_low": min(means),
        "rest_mean_high": max(means),
        "rest_max": float(cosines.max()),
        "rest_share60_low": min(float((match > 0.6) @ share) for match, share in best),
        "rest_share80_low": min(float((match > 0.8) @ share) for match, share in best),
    }
    for name, known in (("token", None), ("new_token", prompt_ids)):
        overlap = _overlap(left.ids, right.ids, known, idf)
        values[f"rest_{name}_jaccard"], values[f"rest_{name}_containment"] = overlap
    return values


def _remainder(text: Sentences, kept: NDArray[np.bool_]) -> Remainder:
    vectors, tokens = text.vectors[kept], text.tokens[kept]
    total = float(tokens.sum())
    mean = tokens @ vectors
    owned = np.repeat(kept, np.diff(text.edges))
    return Remainder(
        vectors=vectors,
        share=tokens / max(total, 1.0),
        document=mean / max(float(np.sqrt(mean @ mean)), 1e-6),
        ids=distinct(text.ids[owned]),
        tokens=total,
    )


def _overlap(a: IntArray, b: IntArray, known: IntArray | None, idf: Vectors) -> tuple[float, float]:
    """Jaccard similarity and containment by weight, of ids that are not `known`."""
    if known is not None:
        a, b = a[~np.isin(a, known)], b[~np.isin(b, known)]
    shared = float(idf[np.intersect1d(a, b, assume_unique=True)].sum())
    of_a, of_b = float(idf[a].sum()), float(idf[b].sum())
    return shared / max(of_a + of_b - shared, 1e-9), shared / max(min(of_a, of_b), 1e-9)
