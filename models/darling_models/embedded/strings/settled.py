"""Pairs of answers that their strings settle: one answer, two, or neither for sure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darling_models.embedded.strings.facts import Facts
from darling_models.embedded.strings.formulas import POINTS, SYMMETRIC, Formula
from darling_models.protocol import FloatArray, IntArray

SAME, DIFFERENT = 0.98, 0.02
"""Probabilities of settled pairs: at least the one, at most the other. Of 853 labelled pairs that
were settled as the same, and 229 as different, none was settled wrongly (docs/classifier.md)."""
ROUNDING = 1e-9
"""Relative difference of two values that arithmetic alone may make."""
MIN_ROUNDED = 10.0
"""Smallest number without decimals that may be the rounded form of one that has some, as 150 is of
149.6; 1 and 0.5 are two answers."""
MAX_EXACT = 2.0**53
"""Integers below are exact in float64."""


def settle(probabilities: FloatArray, texts: Sequence[Facts], pairs: IntArray) -> None:
    """Corrects the probabilities of the pairs, shape (m,), in place, where strings settle them."""
    said = settled(texts, pairs)
    probabilities[said > 0] = np.maximum(probabilities[said > 0], SAME)
    probabilities[said < 0] = np.minimum(probabilities[said < 0], DIFFERENT)


def settled(texts: Sequence[Facts], pairs: IntArray) -> NDArray[np.int8]:
    """1 for each pair that is one answer, -1 for one that is two, 0 for the others, shape (m,)."""
    worded = np.asarray([text.worded for text in texts], dtype=np.int64).reshape(-1, 2)
    whole, unsigned = np.moveaxis(worded[pairs], 2, 0)
    operators_differ = (unsigned[:, 0] == unsigned[:, 1]) & (whole[:, 0] != whole[:, 1])
    said: NDArray[np.int8] = -operators_differ.astype(np.int8)
    formulas = [text.formula for text in texts]
    read = np.asarray([formula is not None for formula in formulas], dtype=np.bool_)
    places = np.flatnonzero(read[pairs].all(axis=1))
    if len(places):
        own = [formula for formula in formulas if formula is not None]
        told, comparable = _compared(own, (np.cumsum(read) - 1)[pairs[places]])
        said[places] = np.where(comparable, told, said[places])
    return said


def _compared(
    formulas: Sequence[Formula], pairs: IntArray
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """What formulas tell of the pairs: 1, -1 or 0, and whether they can be compared, (m,) each."""

    def both(name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        column = np.asarray([getattr(formula, name) for formula in formulas], dtype=np.int64)
        return column[pairs[:, 0]], column[pairs[:, 1]]

    (form, other_form), (name, other_name) = both("form"), both("name")
    (relation, other_relation), (variables, other_variables) = both("relation"), both("variables")
    (plain, other_plain), (marked, other_marked) = both("plain"), both("marked")
    comparable = variables == other_variables
    comparable &= (name == other_name) | (name == 0) | (other_name == 0)
    alike = comparable & (relation == other_relation)

    values = np.asarray([formula.values for formula in formulas])
    slack = np.asarray([formula.slack for formula in formulas])
    k = len(POINTS)
    ours, theirs = values[pairs[:, 0]], values[pairs[:, 1]]
    room = _room(ours[:, 0], theirs[:, 0], slack[pairs[:, 0]], slack[pairs[:, 1]])
    left, right = (
        _unlike(ours[:, :k], theirs[:, :k], room),
        _unlike(ours[:, k:], theirs[:, k:], room),
    )
    swapped = ~_unlike(ours[:, :k], theirs[:, k:], room) & ~_unlike(
        ours[:, k:], theirs[:, :k], room
    )

    small: NDArray[np.bool_] = np.abs(ours).max(axis=1) < MAX_EXACT
    numbers = ((plain & other_plain) > 0) & small
    equal = ~_unlike(ours, theirs, np.zeros(len(pairs)))
    one_form = alike & equal & (form == other_form)
    # One form is one answer, but a bare number may name a version: 3.10 is not 3.1 unless it is
    # marked as a result.
    one = one_form & (plain == 0) & (other_plain == 0)
    one |= ((marked | other_marked) > 0) & (one_form | (alike & numbers & equal))
    # Two sides: one differs and the other not, or they change places, or another sign of comparison
    # stands between the same ones. Where both differ, `2x = 6` may be `x = 3`.
    two: NDArray[np.bool_] = alike & (relation == 0) & left
    one_sided = (left ^ right) & ~_scaled(ours, theirs, left, relation)
    two |= alike & (relation > 0) & (one_sided | (swapped & left))
    related = comparable & (relation != other_relation) & (relation * other_relation > 0)
    two |= related & (~(left | right) | swapped)
    said: NDArray[np.int8] = one.astype(np.int8) - (two & ~one).astype(np.int8)
    return said, comparable


def _scaled(
    ours: FloatArray, theirs: FloatArray, left: NDArray[np.bool_], relation: IntArray
) -> NDArray[np.bool_]:
    """Whether the sides that differ may be multiples of each other beside 0, which then say the
    same: `x - 1 = 0` and `2 - 2x = 0`, `x > 0` and `2x > 0`."""
    k = len(POINTS)
    own, other = (np.where(left[:, None], v[:, :k], v[:, k:]) for v in (ours, theirs))
    beside = np.where(left[:, None], ours[:, k:], ours[:, :k])
    across, back = own[:, :1] * other[:, 1:], own[:, 1:] * other[:, :1]
    turned = (own * other <= 0).any(axis=1) & (relation > max(SYMMETRIC))
    scaled: NDArray[np.bool_] = ~beside.any(axis=1) & ~turned
    scaled &= ~_unlike(across, back, np.zeros(len(own)))
    return scaled


def _unlike(ours: FloatArray, theirs: FloatArray, room: FloatArray) -> NDArray[np.bool_]:
    size = np.maximum(np.abs(ours), np.abs(theirs))
    apart = np.abs(ours - theirs) > np.maximum(ROUNDING * size, room[:, None])
    unlike: NDArray[np.bool_] = np.any(apart, axis=1)
    return unlike


def _room(
    ours: FloatArray, theirs: FloatArray, slack: FloatArray, other_slack: FloatArray
) -> FloatArray:
    """How far two values may be apart and still be roundings of one."""
    own, other = (
        np.where((near == 0) & (far > 0) & (np.abs(value) >= MIN_ROUNDED), 0.5, near)
        for value, near, far in ((ours, slack, other_slack), (theirs, other_slack, slack))
    )
    room: FloatArray = np.maximum(own, other)
    return room
