"""Pair features from the facts of strings: what agrees, what conflicts, what only one side has.

Everything is symmetric in the two texts, and compared for all pairs of a group at once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darling_models.embedded.encoder import Vectors
from darling_models.embedded.set_overlap import Sets
from darling_models.embedded.strings.facts import FLAGS, KINDS, Facts
from darling_models.embedded.strings.polarity import AXES
from darling_models.protocol import FloatArray, IntArray

WEIGHED = KINDS.index("stem")
BEYOND_PROMPT = (
    *("value", "measure", "answer_value", "lead_value", "lead", "answer", "stress", "content"),
    *("surname", "operation", "kernel", "order", "result", "initialled"),
)
"""Sets compared once more without what the prompt holds."""
WITHIN_PROMPT = ("content", "lead", "answer", "value", "kernel")
"""Sets compared once more by what the prompt holds too, such as the options that it offers."""
HELD = (
    *(("lead", "content"), ("answer", "content"), ("stress", "content"), ("answer", "lead")),
    *(("answer_value", "measure"), ("lead_value", "measure"), ("answer_value", "lead_value")),
    *(("stress", "lead"), ("surname", "stem"), ("denied", "affirmed"), ("kernel", "kernel")),
    *(("result", "measure"), ("stress", "kernel"), ("lead", "kernel")),
)
"""(kind, other kind): how much of one text's set is in the other text's set of another kind."""
CONFLICTS = (
    *(("namesake", "initialled"), ("initialled", "named")),
    *(("converted", "value"), ("value", "converted")),
)
"""(kind, other kind): how much more the texts agree in one than in the other, where both texts have
the other: a surname with another initial, an initial with another first name, a quantity in other
units, a number with another unit."""
OVERLAP = ("jaccard", "containment", "none", "one_sided")

STRING_FEATURES: tuple[str, ...] = (
    *(f"string_{kind}_{part}" for kind in KINDS for part in OVERLAP),
    *(f"string_new_{kind}_{part}" for kind in BEYOND_PROMPT for part in OVERLAP),
    *(f"string_asked_{kind}_{part}" for kind in WITHIN_PROMPT for part in OVERLAP),
    *(f"string_{one}_in_{other}_{end}" for one, other in HELD for end in ("low", "high")),
    *(f"string_{part}_{kind}" for part in ("axes", "lead_axes") for kind in ("agree", "conflict")),
    *("string_first_axis_agree", "string_first_axis_conflict"),
    *(f"string_{flag}_{part}" for flag in FLAGS for part in ("both", "one")),
    *("string_only_low", "string_only_high"),
    *("string_kernel_size_low", "string_kernel_size_high", "string_brief_kernel"),
    *(f"string_{one}_not_{other}" for one, other in CONFLICTS),
)


def string_features(
    texts: Sequence[Facts], prompt: Facts, rows: IntArray, columns: IntArray
) -> dict[str, Vectors]:
    """Each of `STRING_FEATURES` for the pairs (rows, columns) of texts, shape (m,)."""
    at = (rows, columns)
    values: dict[str, NDArray[Any]] = {}
    whole = [text.sets for text in texts]
    _overlaps(values, "string_", KINDS, Sets.of(whole), at)
    for prefix, kinds in (("string_new_", BEYOND_PROMPT), ("string_asked_", WITHIN_PROMPT)):
        places = [KINDS.index(kind) for kind in kinds]
        sets = Sets.of([[own[k] for k in places] for own in whole])
        known = [_known(kind, prompt) for kind in kinds]
        fresh = kinds is BEYOND_PROMPT
        _overlaps(values, prefix, kinds, sets.without(known) if fresh else sets.within(known), at)
    for (one, other), share in zip(HELD, _held(whole), strict=True):
        there, back = share[rows, columns], share[columns, rows]
        values[f"string_{one}_in_{other}_low"] = np.minimum(there, back)
        values[f"string_{one}_in_{other}_high"] = np.maximum(there, back)
    axes = np.stack([text.axes for text in texts]).astype(np.float64)
    product = axes[rows] * axes[columns]
    for name, part in (("axes", product[:, :AXES]), ("lead_axes", product[:, AXES:])):
        values[f"string_{name}_agree"] = (part > 0).sum(axis=1)
        values[f"string_{name}_conflict"] = (part < 0).sum(axis=1)
    values["string_first_axis_agree"] = product[:, AXES] > 0
    values["string_first_axis_conflict"] = product[:, AXES] < 0
    flags = np.stack([text.flags for text in texts])
    for k, flag in enumerate(FLAGS):
        a, b = flags[rows, k], flags[columns, k]
        values[f"string_{flag}_both"], values[f"string_{flag}_one"] = a * b, np.abs(a - b)
    sizes = np.asarray([len(sets[WEIGHED]) for sets in whole], dtype=np.float64)
    common = values["string_stem_containment"] * np.minimum(sizes[rows], sizes[columns])
    only = np.log1p(np.maximum(np.stack([sizes[rows] - common, sizes[columns] - common]), 0))
    values["string_only_low"], values["string_only_high"] = only.min(axis=0), only.max(axis=0)
    sizes = np.asarray([len(sets[KINDS.index("kernel")]) for sets in whole], dtype=np.float64)
    values["string_kernel_size_low"] = np.log1p(np.minimum(sizes[rows], sizes[columns]))
    values["string_kernel_size_high"] = np.log1p(np.maximum(sizes[rows], sizes[columns]))
    brief = np.exp(-values["string_kernel_size_high"] / 2)
    values["string_brief_kernel"] = brief * (2 * values["string_kernel_jaccard"] - 1)
    for one, other in CONFLICTS:
        prefix = f"string_{other}_"
        told = ~(values[f"{prefix}none"] | values[f"{prefix}one_sided"])
        more = values[f"string_{one}_containment"] - values[f"{prefix}containment"]
        values[f"string_{one}_not_{other}"] = told * np.maximum(more, 0)
    return {name: np.asarray(values[name], dtype=np.float32) for name in STRING_FEATURES}


def _known(kind: str, prompt: Facts) -> IntArray:
    """What the prompt holds of a kind: numbers by their own kind, words by any of its words."""
    if kind in ("value", "operation"):
        return prompt.sets[KINDS.index(kind)]
    if kind.endswith("value") or kind in ("measure", "result"):
        return prompt.sets[KINDS.index("measure")]
    own = kind in ("surname", "initialled", "order")
    return prompt.sets[KINDS.index(kind if own else "stem")]


def _overlaps(
    values: dict[str, NDArray[Any]],
    prefix: str,
    kinds: Sequence[str],
    sets: Sets,
    at: tuple[IntArray, IntArray],
) -> None:
    overlaps = zip(*sets.overlap_plain(), strict=True)
    for kind, (jaccard, containment), empty in zip(kinds, overlaps, sets.empty, strict=True):
        rows, columns = at
        values[f"{prefix}{kind}_jaccard"] = jaccard[at]
        values[f"{prefix}{kind}_containment"] = containment[at]
        values[f"{prefix}{kind}_none"] = empty[rows] & empty[columns]
        values[f"{prefix}{kind}_one_sided"] = empty[rows] ^ empty[columns]


def _held(texts: Sequence[Sequence[IntArray]]) -> FloatArray:
    """For each of `HELD`, the share of text i's codes that text j has, (held, n, n); 0 where text i
    has none."""
    sides = [[[own[KINDS.index(pair[side])] for pair in HELD] for own in texts] for side in (0, 1)]
    ones, others = (Sets.of(side) for side in sides)
    share: FloatArray = ones.shared(others) / np.maximum(ones.sizes, 1)[:, :, None]
    return share
