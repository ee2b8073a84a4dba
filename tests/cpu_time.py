"""Whether work takes much more CPU time on one thing than on another.

CPU time of this process, not seconds on the clock, and the best of several tries, each of which
measures both side by side: a busy machine makes a reading dearer now and then, never all of them.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TRIES = 5
NOISE_S = 0.01
"""CPU seconds that do not count: the clock and the garbage collector have their own."""


def cpu_seconds(work: Callable[[T], object], given: T) -> float:
    started = time.process_time()
    work(given)
    return time.process_time() - started


def too_dear(
    work: Callable[[T], object], little: T, much: T, at_most: float = 15, noise_s: float = NOISE_S
) -> str:
    """What was measured if `much` took over `at_most` times as long as `little`; else nothing.

    `noise_s` is more where the work reads tables and caches that only a long text overflows.
    """
    for _ in range(TRIES):
        once, more = cpu_seconds(work, little), cpu_seconds(work, much)
        if more <= at_most * once + noise_s:
            return ""
    return f"{once:.4f} s, then {more:.4f} s"
