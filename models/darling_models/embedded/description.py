"""The description of one text: vectors at several grains, and sets of its words and tokens.

A description is made once, from the text alone, so it can be cached and compared with any other.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darling_models.embedded.encoder import TokenizedText, Vectors
from darling_models.embedded.set_overlap import distinct
from darling_models.embedded.unshared_text import MOST, Sentences
from darling_models.protocol import FloatArray, IntArray, number_fault

CHUNK_TOKENS = 128
"""Tokens of an even piece of a text."""
SENTENCE_TOKENS = 64
"""Tokens of a sentence; a longer one is cut evenly."""
MAX_SENTENCES = 128
"""Sentences compared of a text; those of a longer one are merged with their neighbours, so that
comparing stays affordable."""
KEY_TOKENS = 96
"""Distinct tokens of highest idf that are kept with their vectors."""
EARLY_TOKENS = 24
"""Distinct tokens kept for standing early in the text, beside those."""
SALIENCE_CLIP = 6.0
"""Bound of the salience before softplus."""
EVEN_SALIENCE = 0.54
"""Salience whose softplus is 1, so that every token counts by its idf alone."""
EARLY_DECAY = 24.0
"""Tokens over which the weight of an early token falls by e-fold: answers tend to come
first."""

SENTENCE = re.compile(r"\n+|(?<=[.!?])[\"'”*)]*\s+|(?<=[。！？])")
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
STARS = re.compile(r"\*\*")
QUOTE = re.compile(r"[\"“]")
QUOTE_END = re.compile(r"[\"”]")
STARS_OR_QUOTE = re.compile(r"\*\*|[\"“]")
BULLET = re.compile(r"^[^\S\n]*(?:[-*•]|\d+[.)])\s", re.M)
HEADING = re.compile(r"^[^\S\n]*#{1,6}\s|^\*\*[^*\n]+\*\*:?[^\S\n]*$", re.M)
SENTENCE_OPENERS = frozenset(("", ".", "!", "?", "\n", ":", "-", "#"))

SETS = ("token", "bigram", "trigram", "char", "number", "name", "emphasis", "first", "last", "word")
SHAPE = ("words", "lines", "bullets", "headings", "code", "questions")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Corpus statistics that descriptions are made with; part of the trained artefact."""

    idf: Vectors
    """Inverse document frequency of each token id, shape (vocabulary,)."""
    mean: Vectors
    """Mean unit document vector, shape (hidden,)."""
    token_mean: Vectors
    """Mean unit token vector, shape (hidden,)."""
    projection: Vectors
    """Projection to k dimensions in which key tokens are compared, applied to (unit token vector -
    `token_mean`). Shape (hidden, k)."""
    salience: Vectors
    """Linear weights on a token vector and a bias, shape (hidden + 1,). Softplus of the result is
    how much the token counts beside its idf."""


@dataclass(frozen=True, slots=True)
class RunningSums:
    """Sums of the first rows of an array, where they are wanted: at edges of parts."""

    edges: IntArray
    """Sorted distinct numbers of rows, shape (e,)."""
    sums: FloatArray
    """Sum of so many rows, shape (e, hidden)."""

    @classmethod
    def at(cls, edges: IntArray, vectors: Vectors) -> "RunningSums":
        edges = distinct(edges)
        sums = np.zeros((len(edges), vectors.shape[1]))
        total = np.zeros(vectors.shape[1])
        for own, start, end in zip(sums[1:], edges, edges[1:], strict=False):
            for row in vectors[start:end]:
                np.add(total, row, out=total)  # in one order: a sum over axis 0 may take another
            own[:] = total
        return cls(edges, sums)

    def until(self, edges: IntArray) -> FloatArray:
        """The sums of the first rows up to each of the edges, shape (len(edges), hidden)."""
        return self.sums[np.searchsorted(self.edges, edges)]


@dataclass(frozen=True, slots=True)
class Parts:
    """Some unit vectors of a text and how much each weighs."""

    vectors: Vectors
    """Shape (p, width)."""
    weights: Vectors
    """Shape (p,)."""


@dataclass(frozen=True, slots=True)
class Description:
    tokens: int
    document: Vectors
    """Unit mean token vector, shape (hidden,)."""
    sentences: Parts
    split: Sentences
    """The same text cut finer, to find what it shares with another."""
    chunks: Parts
    keys: Parts
    """Vectors of the key tokens at their first occurrence, projected, with their idf as weights.
    Those of the highest idf come first, then the earliest."""
    key_ids: IntArray
    key_early: Vectors
    """Weights of the key tokens that favour early ones, shape (k,)."""
    key_salience: Vectors
    """Weights of the key tokens by learned salience, shape (k,)."""
    salient: Vectors
    """Unit mean of all token vectors by learned salience, shape (hidden,)."""
    sets: dict[str, IntArray]
    """Sorted distinct codes, by the names of `SETS`."""
    shape: Vectors
    """log(1 + count) of what `SHAPE` names."""
    content: int
    """A code of the words in order, without case and punctuation."""
    truncated: bool = False

    @property
    def nbytes(self) -> int:
        parts = (self.sentences, self.chunks, self.keys)
        vectors = [self.document, self.salient, self.key_early, self.key_salience, self.shape]
        vectors += [array for part in parts for array in (part.vectors, part.weights)]
        codes = [self.key_ids, *self.sets.values()]
        return (
            sum(array.nbytes for array in vectors)
            + sum(array.nbytes for array in codes)
            + self.split.nbytes
        )

    @property
    def fault(self) -> Exception | None:
        # Every other vector is made of the same token vectors.
        return number_fault(bool(np.isfinite([self.document, self.salient]).all()))


def describe(
    text: str, tokenized: TokenizedText, vectors: Vectors, lexicon: Lexicon
) -> Description:
    """Describes `text` from its tokens and their (t, hidden) vectors."""
    ids = tokenized.ids
    words = [word.lower() for word in WORD.findall(text)]
    kept, first = np.unique(ids, return_index=True)
    idf = lexicon.idf[kept]
    early = idf * np.exp(-first / EARLY_DECAY).astype(np.float32)
    keys = np.argsort(-idf, kind="stable")[:KEY_TOKENS]
    soon = np.argsort(-early, kind="stable")[:EARLY_TOKENS]
    keys = np.concatenate([keys, soon[~np.isin(soon, keys)]])
    key_vectors = (unit(vectors[first[keys]]) - lexicon.token_mean) @ lexicon.projection
    sentences = _sentence_edges(text, tokenized)
    split = _split_edges(text, tokenized)
    chunks = _even_edges(0, len(ids), CHUNK_TOKENS)
    running = RunningSums.at(np.concatenate([sentences, split, chunks]), vectors)
    salience = lexicon.idf[ids] * _softplus(vectors @ lexicon.salience[:-1] + lexicon.salience[-1])
    return Description(
        tokens=len(ids),
        document=unit(vectors.mean(axis=0, keepdims=True))[0],
        sentences=_parts(running, sentences),
        split=_split(text, tokenized, split, running),
        chunks=_parts(running, chunks),
        keys=Parts(unit(key_vectors), idf[keys]),
        key_ids=kept[keys],
        key_early=early[keys],
        key_salience=salience[first[keys]],
        salient=unit(salience[None] @ vectors)[0],
        sets=_sets(text, ids, words),
        shape=_shape(text, len(words)),
        content=_content(text),
    )


def unit(rows: NDArray[np.floating[Any]]) -> Vectors:
    """Rows scaled to length one."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Vectors = (rows / np.maximum(length, 1e-6)).astype(np.float32)
    return scaled


def _softplus(x: Vectors) -> Vectors:
    return np.log1p(np.exp(np.clip(x, -SALIENCE_CLIP, SALIENCE_CLIP)))


def _parts(running: RunningSums, edges: IntArray) -> Parts:
    """Unit mean token vectors between consecutive edges, weighted by their tokens."""
    sizes = np.diff(edges)
    means = np.diff(running.until(edges), axis=0) / sizes[:, None]
    return Parts(unit(means.astype(np.float32)), sizes.astype(np.float32))


def _even_edges(start: int, end: int, longest: int) -> IntArray:
    """Edges of the fewest even pieces of at most about `longest` tokens."""
    pieces = max(-(-(end - start) // longest), 1)
    if pieces == 1:
        return np.asarray([start, end], dtype=np.int64)  # a tenth of the time that linspace takes
    return np.linspace(start, end, pieces + 1).astype(np.int64)


def _sentence_edges(text: str, tokenized: TokenizedText) -> IntArray:
    """Token edges of sentences."""
    starts = np.asarray(sentence_starts(text))
    owner = np.searchsorted(starts, tokenized.starts, side="right")
    cuts = np.flatnonzero(np.diff(owner)) + 1
    bounds = [0, *cuts.tolist(), len(tokenized.ids)]
    pieces = [_even_edges(start, end, SENTENCE_TOKENS)[1:] for start, end in pairwise(bounds)]
    edges = np.concatenate([[0], *pieces])
    if len(edges) > MAX_SENTENCES + 1:
        edges = edges[np.linspace(0, len(edges) - 1, MAX_SENTENCES + 1).astype(np.int64)]
    return edges


def sentence_starts(text: str) -> list[int]:
    """Where sentences begin; fragments under three words join the next."""
    starts, read, words = [0], 0, 0
    for match in SENTENCE.finditer(text):
        piece = text[read : match.end()]
        words += len(piece.split(None, 3))
        if read > starts[-1] and not (text[read - 1].isspace() or piece[0].isspace()):
            words -= 1  # the fragment before ends within this piece's first word
        read = match.end()
        if read < len(text) and words >= 3:
            starts.append(read)
            words = 0
    return starts


def _split_edges(text: str, tokenized: TokenizedText) -> IntArray:
    """Token edges of every sentence and line."""
    starts = [0, *(match.end() for match in SENTENCE.finditer(text))]
    owner = np.searchsorted(np.asarray(starts), tokenized.starts, side="right")
    edges = np.concatenate([[0], np.flatnonzero(np.diff(owner)) + 1, [len(tokenized.ids)]])
    if len(edges) > MOST + 1:
        edges = edges[np.linspace(0, len(edges) - 1, MOST + 1).astype(np.int64)]
    return edges


def _split(text: str, tokenized: TokenizedText, edges: IntArray, running: RunningSums) -> Sentences:
    parts = _parts(running, edges)
    places = [0, *tokenized.starts[edges[1:-1]].tolist(), len(text)]
    ids = [distinct(tokenized.ids[start:end]) for start, end in pairwise(edges)]
    return Sentences(
        codes=np.asarray([_content(text[start:end]) for start, end in pairwise(places)]),
        vectors=parts.vectors,
        tokens=parts.weights,
        ids=np.concatenate(ids),
        edges=np.concatenate([[0], np.cumsum([len(own) for own in ids])]),
    )


def _sets(text: str, ids: IntArray, words: list[str]) -> dict[str, IntArray]:
    lines = text.strip().splitlines() or [""]
    spans = [span for line in text.split("\n") for span in emphasised(line)]
    return {
        "token": distinct(ids),
        "bigram": distinct(ids[:-1] << 16 | ids[1:]),
        "trigram": distinct(ids[:-2] << 32 | ids[1:-1] << 16 | ids[2:]),
        "char": _char_grams(text),
        "number": _codes(NUMBER.findall(text)),
        "name": _codes(_names(text, short=len(words) <= 8)),
        "emphasis": _codes(w for span in spans for w in WORD.findall(span.lower())[:12]),
        "first": _codes(WORD.findall(lines[0].lower())[:30]),
        "last": _codes(WORD.findall(lines[-1].lower())[-30:]),
        "word": _codes(words),
    }


def emphasised(line: str) -> Iterator[str]:
    """What stands between two double stars or in quotation marks."""
    opening, position = STARS_OR_QUOTE, 0
    while mark := opening.search(line, position):
        stars = mark.group() == "**"
        end = (STARS if stars else QUOTE_END).search(line, mark.end() + 1)
        if end is not None:
            yield line[mark.end() : end.start()]
            position = end.end()
        elif opening is STARS_OR_QUOTE:
            # No later mark of this kind is closed either: the line is not searched for it again.
            opening, position = (QUOTE if stars else STARS), mark.end()
        else:
            return


def _char_grams(text: str) -> IntArray:
    """Codes of the byte 4-grams of the lower-cased text, white space collapsed."""
    padded = f" {' '.join(text.lower().split())} ".encode()
    data = np.frombuffer(padded, dtype=np.uint8).astype(np.int64)
    return distinct(data[:-3] << 24 | data[1:-2] << 16 | data[2:-1] << 8 | data[3:])


def _names(text: str, short: bool) -> Iterable[str]:
    """Capitalised words; in a longer text, not those that merely open a sentence."""
    for match in WORD.finditer(text):
        word = match.group()
        if word[0].isupper():
            before = text[max(0, match.start() - 8) : match.start()].rstrip(" *_\"'“(")[-1:]
            if short or before not in SENTENCE_OPENERS:
                yield word.lower()


def _shape(text: str, words: int) -> Vectors:
    counts = (
        words,
        sum(1 for line in text.splitlines() if line.strip()),
        len(BULLET.findall(text)),
        len(HEADING.findall(text)),
        text.count("```"),
        text.count("?"),
    )
    return np.log1p(np.asarray(counts, dtype=np.float32))


def _content(text: str) -> int:
    """A code of the words in order, without case and punctuation; of the text if it has no word."""
    return _code(" ".join(WORD.findall(text.lower())) or text.strip())


def _codes(words: Iterable[str]) -> IntArray:
    return distinct(np.asarray([_code(word) for word in words], dtype=np.int64))


def _code(word: str) -> int:
    return zlib.crc32(word.encode())
