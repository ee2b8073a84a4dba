"""Progress on standard error: a bar on a terminal, in a log a line now and then."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LOG_EVERY_S = 30.0


class Lines:
    """A log as tqdm's file: a line for each state, where a terminal overwrites the last."""

    def __init__(self) -> None:
        self._log = sys.stderr

    def write(self, text: str) -> None:
        if state := text.strip():
            self._log.write(f"{state}\n")

    def flush(self) -> None:
        self._log.flush()


def progress(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
    """`tqdm.tqdm(iterable, **options)`; in a log nothing of what takes less than `LOG_EVERY_S`."""
    if sys.stderr.isatty():
        return tqdm(iterable, **options)
    return tqdm(
        iterable, file=Lines(), mininterval=LOG_EVERY_S, delay=LOG_EVERY_S, ncols=80, **options
    )
