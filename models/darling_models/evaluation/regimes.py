"""Regimes: kinds of texts on which a classifier may be calibrated differently.

A pair belongs to a regime if both of its texts do; it may belong to two, or to none.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from darling_models.protocol import IntArray, all_pairs

MAX_SHORT_WORDS = 15
"""Words of a short text at most: a pick, a name, a number, or a sentence around one."""
MIN_LONG_WORDS = 100
"""Words of a long text at least: some paragraphs."""
FORMULA = re.compile(
    r"\\boxed\b|\\d?frac\b|\\sqrt\b|\\\(|\\\[|\$\$|\d\s*[-−+*/×÷·^]\s*\d|[=≈≤≥]\s*(?:[-−$]\s*)?\d"
)
"""What shows that a text calculates: LaTeX, an operator between numbers, a sign before a result."""


def is_short(text: str) -> bool:
    return len(text.split()) <= MAX_SHORT_WORDS


def is_long(text: str) -> bool:
    return len(text.split()) >= MIN_LONG_WORDS


def is_maths(text: str) -> bool:
    return FORMULA.search(text) is not None


SHORT = f"short (at most {MAX_SHORT_WORDS} words a side)"
LONG = f"long (at least {MIN_LONG_WORDS} words a side)"
MATHS = "maths"
REGIMES: Mapping[str, Callable[[str], bool]] = {SHORT: is_short, LONG: is_long, MATHS: is_maths}
"""Whether a text belongs to a regime, by the regime's title."""


def pairs_within(texts: Sequence[str], belongs: Callable[[str], bool]) -> IntArray:
    """The pairs of texts that both belong, by index, shape (m, 2)."""
    members = np.asarray([belongs(text) for text in texts], dtype=np.bool_)
    pairs = all_pairs(len(texts))
    return pairs[members[pairs].all(axis=1)]
