"""Copies of a local model that other processes hold, as the engine asks them.

`workers` has them in processes of this machine, `darling_service.cluster` on a Ray cluster.
"""

from collections.abc import Sequence
from typing import Protocol

from darling_models.protocol import FloatArray, Planner, Result, Steps, Unit
from darling_service.engine.worker import Task


class Pool(Protocol):
    """Its methods but `compare` belong to the event loop of `start`."""

    @property
    def count(self) -> int:
        """Number of copies that there should be."""
        ...

    @property
    def alive(self) -> Sequence[object]:
        """Those that answer now."""
        ...

    @property
    def patience_s(self) -> float:
        """Seconds after which a slice has no answer although a process that hung was replaced."""
        ...

    async def start(self) -> Planner:
        """Starts or finds the copies. Raises `ModelError`."""
        ...

    def stop(self) -> None:
        """Ends what `start` began; what is asked fails."""
        ...

    async def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        """What `run_batch` returns or raises in one of them.

        Raises `ModelError` if the processes end over it, `ModelHung` if they hang or none is free
        in time, and `ModelUnavailable` after `stop`.
        """
        ...

    def compare(self, task: Task) -> Steps[FloatArray]:
        """What the task's steps return, computed in one of them. Raises what `run` raises. Its
        steps wait, so that only threads may take them."""
        ...
