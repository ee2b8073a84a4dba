"""Set overlaps of all texts at once are those of Python's own sets, pair by pair."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from darling_models.embedded import set_overlap
from darling_models.embedded.set_overlap import Sets

CODES = st.sets(st.integers(0, 12), max_size=6)
KINDS = 3
WEIGHED = 1


def _sorted(codes: set[int]) -> np.ndarray:
    return np.asarray(sorted(codes), dtype=np.int64)


@given(
    st.lists(st.tuples(CODES, CODES, CODES), min_size=1, max_size=5),
    st.tuples(CODES, CODES, CODES),
    st.lists(st.integers(1, 9), min_size=13, max_size=13),
)
def test_overlaps_are_those_of_the_sets(
    texts: list[tuple[set[int], ...]], known: tuple[set[int], ...], idf: list[int]
) -> None:
    sets = Sets.of([[_sorted(codes) for codes in text] for text in texts])
    fresh = sets.without([_sorted(codes) for codes in known])
    for found, taken in ((sets, ({}, {}, {})), (fresh, known)):
        jaccard, containment = found.overlap(WEIGHED, np.asarray(idf, dtype=np.float32))
        for kind in range(KINDS):
            weight = [idf[code] if kind == WEIGHED else 1 for code in range(len(idf))]
            for i, a in enumerate(texts):
                left = a[kind] - set(taken[kind])
                assert found.empty[kind, i] == (not left)
                for j, b in enumerate(texts):
                    right = b[kind] - set(taken[kind])
                    shared = sum(weight[c] for c in left & right)
                    union = sum(weight[c] for c in left | right)
                    least = min(sum(weight[c] for c in left), sum(weight[c] for c in right))
                    assert jaccard[kind, i, j] == shared / max(union, 1e-9)
                    assert containment[kind, i, j] == shared / max(least, 1e-9)


@given(
    st.lists(st.tuples(st.tuples(CODES, CODES), st.tuples(CODES, CODES)), min_size=1, max_size=5),
    st.sampled_from((0, 2**20)),
)
def test_codes_in_common_are_those_of_the_sets(
    texts: list[tuple[tuple[set[int], ...], ...]], max_table: int
) -> None:
    """In tables and in sparse products, within one side's sets and between two sides'."""
    ones, others = (
        Sets.of([[_sorted(s) for s in text[side]] for text in texts]) for side in (0, 1)
    )
    with patch.object(set_overlap, "MAX_TABLE", max_table):
        for right, side in ((ones, 0), (others, 1)):
            shared = ones.shared(right)
            for kind in range(2):
                for i, a in enumerate(texts):
                    for j, b in enumerate(texts):
                        assert shared[kind, i, j] == len(a[0][kind] & b[side][kind])
