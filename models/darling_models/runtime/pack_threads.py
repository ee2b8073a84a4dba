"""Threads that each run one thread's worth of torch: parallel over packs, not inside each product.

Threads that share a product wait for each other after every one of them, and all of them for the
one that the system took a core from. Those that have a pack of their own wait once, at its end.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from heapq import heappop, heappush
from threading import Barrier
from typing import TypeVar

import torch

Work = TypeVar("Work")
Done = TypeVar("Done")


def share_cores(processes: int) -> None:
    """Leaves torch in this process its part of the threads, where as many processes compute."""
    torch.set_num_threads(max(torch.get_num_threads() // processes, 1))


class Workers:
    def __init__(self, count: int) -> None:
        """`count` threads; with 1 the caller's own does the work, as one thread."""
        self.count = count
        self._pool: ThreadPoolExecutor | None = None
        if count > 1:
            before = torch.get_num_threads()
            started = Barrier(count + 1)
            self._pool = ThreadPoolExecutor(count, "pack", initializer=_alone, initargs=(started,))
            for _ in range(count):
                self._pool.submit(int)
            started.wait()
            torch.set_num_threads(before)

    def map(self, run: Callable[[Work], Done], work: Sequence[Work]) -> Iterator[Done]:
        """The results of `run`, in the order of `work`."""
        if self._pool is None:
            return map(partial(_as_one_thread, run), work)
        return self._pool.map(run, work)


def _as_one_thread(run: Callable[[Work], Done], work: Work) -> Done:
    """Its result, however many threads the caller has given torch since: several may divide the
    rows of a product, and round by that."""
    before = torch.get_num_threads()
    if before == 1:
        return run(work)
    torch.set_num_threads(1)
    try:
        return run(work)
    finally:
        torch.set_num_threads(before)


def balanced(lengths: Sequence[int], most: int, least: int, count: int) -> list[list[int]]:
    """Packs of indices with about as many tokens each, some `most` or fewer, their number a
    multiple of `count` unless there are too few tokens for `least` in each.

    Inside a pack the shortest sequences come first, so that equal lengths attend together.
    """
    tokens = sum(lengths)
    wanted = -(-tokens // (most * count)) * count
    packs: list[list[int]] = [[] for _ in range(min(wanted, max(tokens // least, 1), len(lengths)))]
    loads = [(0, number) for number in range(len(packs))]
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        load, number = heappop(loads)
        packs[number].append(index)
        heappush(loads, (load + lengths[index], number))
    return [pack[::-1] for pack in packs]


def _alone(started: Barrier) -> None:
    torch.get_num_threads()  # takes over the process's number, which would undo the next line later
    torch.set_num_threads(1)
    started.wait()
