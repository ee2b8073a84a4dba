"""Work beside a GPU's: it computes while the CPU reads the next texts, and nobody waits for a copy.

A GPU takes its work from a queue. It runs dry where Python waits for a result before it puts the
next work in, and that is what the functions here avoid. On a CPU they compute the same.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

Work = TypeVar("Work")
Done = TypeVar("Done")
Label = TypeVar("Label")


def one_ahead(run: Callable[[Work], Done], work: Iterable[Work]) -> Iterator[Done]:
    """Yields the results of `run`, in the order of `work`; while one is used, a thread computes the
    next."""
    with ThreadPoolExecutor(1, "ahead") as thread:
        pending = None
        for item in work:
            following = thread.submit(run, item)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()


def moved(numbers: NDArray[Any], device: str) -> Tensor:
    """The numbers on the device. A GPU fetches them when it gets there, from memory that stays."""
    tensor = torch.from_numpy(numbers)
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    # By this thread alone: torch would copy on all cores, which tokenise the next texts.
    held.numpy()[...] = numbers
    return held.to(device, non_blocking=True)


def fetched(started: Iterable[tuple[Label, Tensor]]) -> Iterator[tuple[Label, Tensor]]:
    """Yields each label with its tensor on the CPU.

    A tensor is waited for after the work for the next has been started.
    """
    waiting: tuple[Label, Tensor, torch.cuda.Event | None] | None = None
    for label, tensor in started:
        copy, copied = tensor.to("cpu", non_blocking=True), None
        if tensor.is_cuda:
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record()
        if waiting is not None:
            yield _ready(*waiting)
        waiting = label, copy, copied
    if waiting is not None:
        yield _ready(*waiting)


def _ready(label: Label, copy: Tensor, copied: torch.cuda.Event | None) -> tuple[Label, Tensor]:
    if copied is not None:
        copied.synchronize()
    return label, copy
