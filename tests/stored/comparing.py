"""How equal two answers to one request must be.

Most are the same bits on every machine: the lexical models count in Python, sums go through
`math.fsum`, and what IEEE 754 rounds correctly (+, -, *, /, square root) is the same everywhere.
Two things need not be:

- Powers, BLAS and random draws may differ by a unit in the last place between processors and
  versions of the C library: `exponent`, `uniqueness`, the sample deviation of `grpo` and of
  `zscore` (which squares by `**`), and the `vector` objective's Dirichlet draws and matrix product.
- The embedded model computes in float32 or bfloat16 and in the order that suits the processor.
  Where its probabilities or cosines are themselves in the answer, directly or through `soft`,
  `volume` (with NumPy's `inv` and `log`), `graph_cut`, `set_diversity`, `evol` or `mmr`, numbers
  are compared loosely. Elsewhere only
  its partition enters, and the stored texts are far from every threshold.
"""

import math
from collections.abc import Iterator
from typing import Any

from tests.stored.entries import Entry

ROUNDED = 1e-12
"""An ulp is 2e-16; advantages magnify it by at most the inverse of a deviation, some hundred."""
LEARNED = 2e-2
"""Between float32 with AVX2 and without it no number of these requests moved by more than 3e-7,
between float32 and bfloat16 by 4e-3 (the z-score of `volume`; bfloat16 has 8 bits)."""

PORTABLE = frozenset({"ngram", "unigram", "exact", "answers"})
POWERS = frozenset({"exponent", "uniqueness"})
POWERFUL = (("advantage", "grpo"), ("normalize", "zscore"), ("objective", "vector"))
READ = (
    *(("return_probabilities", True), ("soft", True)),
    *(("diversity", "volume"), ("diversity", "graph_cut"), ("exploration", "set_diversity")),
    *(("objective", "evol"), ("objective", "mmr")),
)
"""Options that bring the model's numbers into the answer."""
READING = ("/v1/equivalence", "/classify")


def tolerance(entry: Entry) -> float:
    """Absolute, and relative to numbers above 1; 0 is the same bits."""
    said = entry.said
    if entry.model not in PORTABLE and (
        entry.route in READING or any(option in said for option in READ)
    ):
        return LEARNED
    if POWERS & {name for name, _ in said} or any(option in said for option in POWERFUL):
        return ROUNDED
    return 0.0


def differences(expected: Any, found: Any, within: float, place: str = "") -> Iterator[str]:
    """What differs, by its place in the JSON. Thresholds are always compared exactly."""
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        for name, value in expected.items():
            own = 0.0 if name == "threshold" else within
            yield from differences(value, found[name], own, f"{place}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (value, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(value, other, within, f"{place}[{i}]")
    elif not _equal(expected, found, within):
        yield f"{place}: {expected!r} is now {found!r}"


def _equal(expected: Any, found: Any, within: float) -> bool:
    if within and isinstance(expected, float) and isinstance(found, float):
        return math.isclose(expected, found, rel_tol=within, abs_tol=within)
    # By what they look like: 0.0 == -0.0, and 1 == True.
    return type(expected) is type(found) and repr(expected) == repr(found)
