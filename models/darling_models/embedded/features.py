"""Pair features for functional equivalence, from descriptions. NumPy and SciPy only.

All pairs of a group are compared at once with a few matrix products. Every feature is symmetric in
the two texts. The names, in order, are `FEATURES`; a trained head is bound to them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from darling_models.embedded.description import (
    EARLY_TOKENS,
    KEY_TOKENS,
    SETS,
    SHAPE,
    Description,
    Lexicon,
    Parts,
    unit,
)
from darling_models.embedded.encoder import Vectors
from darling_models.embedded.set_overlap import Sets
from darling_models.embedded.unshared_text import REMAINS, compare_remains
from darling_models.protocol import IntArray

DENSE_TEXTS = 64
"""Pairs that are few among many texts are compared in blocks of at most this many texts."""
IN_PROMPT = np.float32(0.1)
"""Weight of a salient token that the prompt holds too."""
NONE_LEFT = 3
"""Key tokens that are used when a grain leaves a text none."""

ALIGNMENT = (
    "mean_low",
    "mean_high",
    "min_low",
    "min_high",
    "max",
    "share60_low",
    "share60_high",
    "share80_low",
    "share80_high",
)
ALIGNED = {
    "sentence": ALIGNMENT,
    "chunk": ("mean_low", "mean_high", "min_low", "min_high", "max"),
    "key": ("mean_low", "mean_high", "share60_low", "share80_low", "share80_high"),
    "new_key": (
        *("mean_low", "mean_high", "share60_low", "share80_low", "share80_high"),
        *("max", "min_high"),
    ),
    "salient_key": ("mean_low", "mean_high", "share60_low", "share80_low", "max"),
    "early_key": ("mean_low", "mean_high", "share60_low", "share80_low", "max", "min_high"),
}
BEYOND_PROMPT = ("token", "number", "name", "emphasis", "word", "first", "last")
"""Sets compared once more without what the prompt itself holds."""
SPARSE_SETS = ("number", "name", "emphasis")

FEATURES: tuple[str, ...] = (
    *("document", "salient_document", "document_less_prompt", "document_centred"),
    *("prompt_low", "prompt_high", "gap_max", "gap_mean", "first_sentence", "last_sentence"),
    *(f"{grain}_{part}" for grain, parts in ALIGNED.items() for part in parts),
    *(f"{name}_{part}" for name in SETS for part in ("jaccard", "containment")),
    *(f"{name}_{part}" for name in SPARSE_SETS for part in ("none", "one_sided")),
    *(
        f"new_{name}_{part}"
        for name in BEYOND_PROMPT
        for part in ("jaccard", "containment", "none")
    ),
    *(f"{name}_{part}" for name in SHAPE for part in ("gap", "low")),
    *("same_words", "short", "short_containment", "prompt_words"),
    *REMAINS,
)


def pair_features(
    texts: Sequence[Description], prompt: Description, pairs: IntArray, lexicon: Lexicon
) -> Vectors:
    """Features of `pairs` (m, 2) of indices into `texts`, shape (m, len(FEATURES))."""
    blocks = [_block(texts, prompt, block, lexicon) for block in _blocks(pairs, len(texts))]
    return np.concatenate(blocks) if blocks else np.empty((0, len(FEATURES)), dtype=np.float32)


def _blocks(pairs: IntArray, texts: int) -> Iterator[IntArray]:
    """All pairs in one block when they are dense among the texts, else a few at a time."""
    if len(pairs) * 8 >= texts * texts:
        yield pairs
        return
    step = DENSE_TEXTS // 2
    for start in range(0, len(pairs), step):
        yield pairs[start : start + step]


def _block(
    texts: Sequence[Description], prompt: Description, pairs: IntArray, lexicon: Lexicon
) -> Vectors:
    used, local = np.unique(pairs, return_inverse=True)
    rows, columns = local.reshape(pairs.shape).T
    values = _compare([texts[i] for i in used], prompt, lexicon, rows, columns)
    return np.stack([values[name] for name in FEATURES], axis=1).astype(np.float32)


def _compare(
    texts: Sequence[Description],
    prompt: Description,
    lexicon: Lexicon,
    rows: IntArray,
    columns: IntArray,
) -> dict[str, Vectors]:
    """Each feature's values at (rows, columns), shape (m,)."""
    at = (rows, columns)
    values: dict[str, Vectors] = {}

    documents = np.stack([text.document for text in texts])
    cosine = (documents @ documents.T)[at]
    to_prompt = documents @ prompt.document
    beside = np.sqrt(np.maximum(1 - to_prompt**2, 1e-3))
    centred = unit(documents - lexicon.mean)
    gap = np.abs(documents[rows] - documents[columns])
    values["document"] = cosine
    salient = np.stack([text.salient for text in texts])
    values["salient_document"] = (salient @ salient.T)[at]
    values["document_less_prompt"] = (cosine - to_prompt[rows] * to_prompt[columns]) / (
        beside[rows] * beside[columns]
    )
    values["document_centred"] = (centred @ centred.T)[at]
    values["prompt_low"] = np.minimum(to_prompt[rows], to_prompt[columns])
    values["prompt_high"] = np.maximum(to_prompt[rows], to_prompt[columns])
    values["gap_max"], values["gap_mean"] = gap.max(axis=1), gap.mean(axis=1)
    for name, place in (("first_sentence", 0), ("last_sentence", -1)):
        edge = np.stack([text.sentences.vectors[place] for text in texts])
        values[name] = (edge @ edge.T)[at]

    prompt_tokens = prompt.sets["token"]
    new_keys = [np.isin(text.key_ids, prompt_tokens, invert=True) for text in texts]
    for grain, wanted in ALIGNED.items():
        aligned = _align(
            [_grain(text, grain, new) for text, new in zip(texts, new_keys, strict=True)]
        )
        for part in wanted:
            values[f"{grain}_{part}"] = aligned[part][at]

    sets = Sets.of([[text.sets[name] for name in SETS] for text in texts])
    overlaps = zip(*sets.overlap(SETS.index("token"), lexicon.idf), strict=True)
    for name, (jaccard, containment), empty in zip(SETS, overlaps, sets.empty, strict=True):
        values[f"{name}_jaccard"], values[f"{name}_containment"] = jaccard[at], containment[at]
        if name in SPARSE_SETS:
            values[f"{name}_none"] = (empty[rows] & empty[columns]).astype(np.float32)
            values[f"{name}_one_sided"] = (empty[rows] ^ empty[columns]).astype(np.float32)
    fresh = Sets.of([[text.sets[name] for name in BEYOND_PROMPT] for text in texts]).without(
        [prompt.sets[name if name in ("token", "number") else "word"] for name in BEYOND_PROMPT]
    )
    overlaps = zip(*fresh.overlap(BEYOND_PROMPT.index("token"), lexicon.idf), strict=True)
    for name, (jaccard, containment), empty in zip(
        BEYOND_PROMPT, overlaps, fresh.empty, strict=True
    ):
        values[f"new_{name}_jaccard"] = jaccard[at]
        values[f"new_{name}_containment"] = containment[at]
        values[f"new_{name}_none"] = (empty[rows] & empty[columns]).astype(np.float32)

    shapes = np.stack([text.shape for text in texts])
    for k, name in enumerate(SHAPE):
        a, b = shapes[rows, k], shapes[columns, k]
        values[f"{name}_gap"], values[f"{name}_low"] = np.abs(a - b), np.minimum(a, b)
    content = np.asarray([text.content for text in texts])
    longest = np.maximum(shapes[rows, 0], shapes[columns, 0])
    values["same_words"] = (content[rows] == content[columns]).astype(np.float32)
    values["short"] = (longest <= np.log1p(5.5)).astype(np.float32)
    values["short_containment"] = values["short"] * values["word_containment"]
    values["prompt_words"] = np.full(len(rows), prompt.shape[0])
    return values | compare_remains(
        texts, prompt.document, prompt_tokens, lexicon.idf, rows, columns, values
    )


def _grain(text: Description, grain: str, fresh: NDArray[np.bool_]) -> Parts:
    """The parts of a text that are aligned at this grain; `fresh` keys are not the prompt's."""
    if grain == "sentence":
        return text.sentences
    if grain == "chunk":
        return text.chunks
    if grain == "key":
        return Parts(text.keys.vectors[:KEY_TOKENS], text.keys.weights[:KEY_TOKENS])
    if grain == "salient_key":
        return Parts(text.keys.vectors, text.key_salience * np.where(fresh, 1.0, IN_PROMPT))
    if grain == "new_key":
        weights, tokens = text.keys.weights, np.flatnonzero(fresh[:KEY_TOKENS])
    else:
        weights = text.key_early
        order = np.argsort(-np.where(fresh, weights, -1.0), kind="stable")[:EARLY_TOKENS]
        tokens = order[fresh[order]]
    if len(tokens) == 0:
        tokens = np.arange(min(NONE_LEFT, len(weights)))
    return Parts(text.keys.vectors[tokens], np.maximum(weights[tokens], 1e-6))


def _align(texts: Sequence[Parts]) -> dict[str, Vectors]:
    """Best-match alignment of all pairs of n texts, each way: (n, n) per part of `ALIGNMENT`."""
    sizes = np.asarray([len(text.weights) for text in texts])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    flat = np.concatenate([text.vectors for text in texts])
    weights = np.concatenate([text.weights for text in texts])
    share = weights / np.repeat(np.add.reduceat(weights, starts), sizes)
    # best[p, j]: how well part p is matched by any part of text j
    best = np.concatenate(
        [np.maximum.reduceat(text.vectors @ flat.T, starts, axis=1) for text in texts]
    )
    mean = np.add.reduceat(best * share[:, None], starts, axis=0)
    least = np.minimum.reduceat(best, starts, axis=0)
    most = np.maximum.reduceat(best, starts, axis=0)
    well60 = np.add.reduceat((best > 0.6) * share[:, None], starts, axis=0)
    well80 = np.add.reduceat((best > 0.8) * share[:, None], starts, axis=0)
    return {
        "mean_low": np.minimum(mean, mean.T),
        "mean_high": np.maximum(mean, mean.T),
        "min_low": np.minimum(least, least.T),
        "min_high": np.maximum(least, least.T),
        "max": np.maximum(most, most.T),
        "share60_low": np.minimum(well60, well60.T),
        "share60_high": np.maximum(well60, well60.T),
        "share80_low": np.minimum(well80, well80.T),
        "share80_high": np.maximum(well80, well80.T),
    }
