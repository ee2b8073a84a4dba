"""Pair features for functional equivalence, from descriptions. NumPy and SciPy only.

Every feature is symmetric in the two texts. The names, in order, are `FEATURES`; a trained head is
bound to them.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from darling_models.embedded.description import SETS, SHAPE, Description
from darling_models.embedded.encoder import Vectors
from darling_models.embedded.late_interaction import LATE_FEATURES, Lexicon, late_features
from darling_models.embedded.set_overlap import Sets
from darling_models.embedded.strings.compare import STRING_FEATURES, string_features
from darling_models.protocol import IntArray, Steps, finished

BLOCK_TEXTS = 96
"""Texts whose pairs are compared at one time: up to 2,304 pairs, some 0.15 s on two cores."""

BEYOND_PROMPT = ("token", "number", "name", "emphasis", "word", "first", "last")
"""Sets compared once more without what the prompt itself holds."""
SPARSE_SETS = ("number", "name", "emphasis")

FEATURES: tuple[str, ...] = (
    *LATE_FEATURES,
    *STRING_FEATURES,
    *(f"{name}_{part}" for name in SETS for part in ("jaccard", "containment")),
    *(f"{name}_{part}" for name in SPARSE_SETS for part in ("none", "one_sided")),
    *(
        f"new_{name}_{part}"
        for name in BEYOND_PROMPT
        for part in ("jaccard", "containment", "none")
    ),
    *(f"{name}_{part}" for name in SHAPE for part in ("gap", "low")),
    *("same_words", "short", "short_containment", "prompt_words"),
)


def pair_features(
    texts: Sequence[Description], prompt: Description, pairs: IntArray, lexicon: Lexicon
) -> Vectors:
    """Features of `pairs` (m, 2) of indices into `texts`, shape (m, len(FEATURES))."""
    return finished(pair_features_in_steps(texts, prompt, pairs, lexicon))


def pair_features_in_steps(
    texts: Sequence[Description], prompt: Description, pairs: IntArray, lexicon: Lexicon
) -> Steps[Vectors]:
    """What `pair_features` returns, in steps: the same bits, as no pair's depend on the others."""
    features = np.empty((len(pairs), len(FEATURES)), dtype=np.float32)
    for block in _blocks(pairs, len(texts)):
        features[block] = _block(texts, prompt, pairs[block], lexicon)
        yield
    return features


def _blocks(pairs: IntArray, texts: int) -> Iterator[IntArray]:
    """Places of the pairs that are compared at one time, which are of at most `BLOCK_TEXTS` texts.

    Dense pairs are parted by the texts that they are of, so that what is computed of a text serves
    many of them.
    """
    side = BLOCK_TEXTS // 2
    if len(pairs) * 8 < texts * texts:
        yield from np.split(np.arange(len(pairs)), range(side, len(pairs), side))
        return
    tile = (pairs // side) @ (texts // side + 1, 1)
    order = np.argsort(tile, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(tile[order])) + 1)


def _block(
    texts: Sequence[Description], prompt: Description, pairs: IntArray, lexicon: Lexicon
) -> Vectors:
    used, local = np.unique(pairs, return_inverse=True)
    rows, columns = local.reshape(pairs.shape).T
    own = [texts[i] for i in used]
    values = late_features(own, prompt.sets["token"], rows, columns)
    values |= string_features([text.facts for text in own], prompt.facts, rows, columns)
    values |= _lexical(own, prompt, lexicon, rows, columns)
    return np.stack([values[name] for name in FEATURES], axis=1).astype(np.float32)


def _lexical(
    texts: Sequence[Description],
    prompt: Description,
    lexicon: Lexicon,
    rows: IntArray,
    columns: IntArray,
) -> dict[str, Vectors]:
    """How far words, tokens and the like overlap, and how the texts' shapes differ, shape (m,)."""
    at = (rows, columns)
    values: dict[str, Vectors] = {}
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
    return values
