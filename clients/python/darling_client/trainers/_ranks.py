"""Scores the rows of all ranks together on rank 0, as a group may straddle ranks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from darling_client._errors import DarlingError

T = TypeVar("T")
R = TypeVar("R")


def together(local: Callable[[], list[T]], score: Callable[[list[T]], list[R]]) -> list[R]:
    """Returns this rank's part of `score(rows of all ranks, in rank order)`.

    `local` returns this rank's rows and runs on every rank; `score` runs on rank 0 and returns one
    value per row. Collective: all ranks must call it. What either function raises on one rank is
    raised on all ranks, so that none is left waiting.
    """
    distributed = _distributed()
    if distributed is None:
        return score(local())
    rank = distributed.get_rank()
    rows_by_rank: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(rows_by_rank, _result_or_error(local))
    for rows in rows_by_rank:
        if isinstance(rows, Exception):
            _raise_on_all(distributed, rows)
    message: list[Any] = [None]
    if rank == 0:
        message = [_result_or_error(lambda: score([row for rows in rows_by_rank for row in rows]))]
    distributed.broadcast_object_list(message, src=0)
    (scores,) = message
    if isinstance(scores, Exception):
        _raise_on_all(distributed, scores)
    start = sum(len(rows) for rows in rows_by_rank[:rank])
    own_scores: list[R] = scores[start : start + len(rows_by_rank[rank])]
    return own_scores


def _raise_on_all(distributed: Any, error: Exception) -> NoReturn:
    """Raises the error on every rank, and on none before all have received it.

    The messages of a rank that ends at once may be lost; then another rank would report a broken
    connection instead of the error.
    """
    with suppress(Exception):
        distributed.barrier()
    raise error


def _result_or_error(work: Callable[[], Any]) -> Any:
    """Returns what `work` returns, or the error it raises, in a form that can be pickled."""
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
