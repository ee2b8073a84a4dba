"""Progress on standard error: a bar on a terminal, a line every half minute in a log."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LOG_EVERY_S = 30.0
"""Seconds between two lines of a log."""


class Lines:
    """A log in place of tqdm's terminal: each state on a line of its own."""

    def __init__(self) -> None:
        self._log = sys.stderr

    def write(self, text: str) -> None:
        if state := text.strip():
            self._log.write(f"{state}\n")

    def flush(self) -> None:
        self._log.flush()


def progress(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
    """`tqdm.tqdm(iterable, **options)`; a log gets no line before `LOG_EVERY_S` have passed."""
    if sys.stderr.isatty():
        return tqdm(iterable, **options)
    return tqdm(
        iterable, file=Lines(), mininterval=LOG_EVERY_S, delay=LOG_EVERY_S, ncols=80, **options
    )
