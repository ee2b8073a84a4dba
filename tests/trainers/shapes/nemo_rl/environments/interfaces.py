"""The documented shape of NeMo-RL's environments: the package needs Python 3.13 and is no more than
a name on PyPI. On the path of the tests that have an environment step, and of nothing else."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor


class EnvironmentReturn(NamedTuple):
    """All of it batched, in this order: NeMo-RL unpacks it by position."""

    observations: list[dict[str, str]]
    metadata: list[Any]
    next_stop_strings: list[Any]
    rewards: Tensor
    terminateds: Tensor
    answers: list[str | None] | None = None


class EnvironmentInterface(ABC):
    @abstractmethod
    def step(
        self, message_log_batch: list[list[dict[str, Any]]], metadata: list[Any]
    ) -> EnvironmentReturn: ...

    @abstractmethod
    def global_post_process_and_metrics(self, batch: Any) -> tuple[Any, dict[str, Any]]: ...
