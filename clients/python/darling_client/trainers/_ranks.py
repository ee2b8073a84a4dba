"""Groups that straddle ranks: rows of all ranks are scored together, on rank 0."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from darling_client._errors import DarlingError

T = TypeVar("T")
R = TypeVar("R")


def together(local: Callable[[], list[T]], score: Callable[[list[T]], list[R]]) -> list[R]:
    """This rank's part of `score(the rows of all ranks, in rank order)`.

    `local` gives this rank's rows and runs on every rank, `score` on rank 0. Collective: all ranks
    must call it. What either raises on any rank is raised on all, so that none is left waiting.
    """
    distributed = _distributed()
    if distributed is None:
        return score(local())
    rank = distributed.get_rank()
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, _caught(local))
    for rows in everyone:
        if isinstance(rows, Exception):
            _raise(distributed, rows)
    scored = [None]
    if rank == 0:
        scored = [_caught(lambda: score([row for rows in everyone for row in rows]))]
    distributed.broadcast_object_list(scored, src=0)
    if isinstance(scored[0], Exception):
        _raise(distributed, scored[0])
    assert scored[0] is not None
    start = sum(len(rows) for rows in everyone[:rank])
    return scored[0][start : start + len(everyone[rank])]


def _raise(distributed: Any, error: Exception) -> NoReturn:
    """Raises it on every rank, on none before all have heard of it.

    A rank that ends at once may take its last message with it; then another would tell of a lost
    connection instead.
    """
    with suppress(Exception):
        distributed.barrier()
    raise error


def _caught(work: Callable[[], Any]) -> Any:
    """What it returns, or what it raises in a form that can travel."""
    try:
        return work()
    except DarlingError as error:
        return error
    except Exception as error:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _distributed() -> Any:
    """`torch.distributed` where this process is one of several ranks; torch is not imported."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.distributed.is_available():
        return None
    distributed = torch.distributed
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return None
    return distributed
