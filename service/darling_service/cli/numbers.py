"""Types of numeric flags. Each has a range; argparse puts the flag's name before the message."""

import argparse
import math
from collections.abc import Callable

MAX_SEED = 2**32 - 1
"""Largest seed that NumPy, torch and transformers all accept."""


def integer(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """An integer from `minimum` to `maximum`, both allowed."""
    allowed = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum or (maximum is not None and value > maximum):
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer {allowed}")
        return value

    return convert


def number(
    minimum: float = -math.inf,
    maximum: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
    infinite: bool = False,
) -> Callable[[str], float]:
    """A number from `minimum` to `maximum`.

    `above` and `below` exclude the two ends; `infinite` allows infinity.
    """
    bounds = []
    if minimum > -math.inf:
        bounds.append(f"{'above' if above else 'at least'} {minimum:g}")
    if maximum < math.inf:
        bounds.append(f"{'below' if below else 'at most'} {maximum:g}")
    allowed = " and ".join(bounds) or "that is finite"

    def inside(value: float) -> bool:
        return (
            (minimum < value if above else minimum <= value)
            and (value < maximum if below else value <= maximum)
            and (infinite or math.isfinite(value))
        )

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not inside(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {allowed}")
        return value

    return convert


def integers(minimum: int) -> Callable[[str], list[int]]:
    """Integers of at least `minimum`, separated by commas."""
    one = integer(minimum)
    return lambda text: [one(part) for part in text.split(",")]


SHARE = number(0, 1)
SEED = integer(0, MAX_SEED)
