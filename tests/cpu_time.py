"""Whether work takes much more CPU time on one thing than on another.

CPU time of this process, not seconds on the clock, and the best of several tries, each of which
measures both side by side: a busy machine makes a reading dearer now and then, never all of them.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TRIES = 5
NOISE_S = 0.05
"""CPU seconds that do not count: timers, garbage collection, caches that a long text overflows."""


def cpu_seconds(work: Callable[[T], object], given: T) -> float:
    started = time.process_time()
    work(given)
    return time.process_time() - started


def too_dear(work: Callable[[T], object], little: T, much: T, at_most: float = 15) -> str:
    """What was measured if `much` took over `at_most` times as long as `little`; else nothing."""
    for _ in range(TRIES):
        once, more = cpu_seconds(work, little), cpu_seconds(work, much)
        if more <= at_most * once + NOISE_S:
            return ""
    return f"{once:.4f} s, then {more:.4f} s"
