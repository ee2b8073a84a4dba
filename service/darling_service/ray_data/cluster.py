"""The Ray cluster that does the work, and how many workers it has room for."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from darling_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Workers:
    """What the workers of a run may take of the cluster."""

    count: int | None = None
    """Number of workers at most, each with a copy of the model; None: as many as the cluster has
    room for."""
    cpus: float = 1
    """CPUs that each worker takes; torch computes in as many threads."""

    def resources(self, settings: Settings) -> dict[str, Any]:
        """The arguments of Ray Data's `map` about its actors. The cluster is connected.

        Raises `ValueError` if it has no room for one worker.
        """
        gpus = 0 if settings.device == "cpu" else 1
        total = ray.cluster_resources()
        room = int(total.get("CPU", 0) / self.cpus)
        if gpus:
            room = min(room, int(total.get("GPU", 0)))
        if room == 0:
            raise ValueError(
                f"the Ray cluster has {total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} "
                f"GPUs, and a worker takes {self.cpus:g} and {gpus}; lower --ray-cpus, or change "
                "--device"
            )
        most = room if self.count is None else self.count
        pool = ActorPoolStrategy(min_size=1, max_size=most)
        return {"compute": pool, "num_cpus": self.cpus, "num_gpus": gpus}


@contextmanager
def connected() -> Iterator[None]:
    """Connects to the cluster that `RAY_ADDRESS` names, or that runs on this machine, or starts
    one here, which is stopped at the end. A connection that there is already is used and kept.
    """
    DataContext.get_current().enable_progress_bars = False  # the command has its own
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    if ray.is_initialized():
        yield
        return
    local = os.environ.get("RAY_ADDRESS", "local") == "local"
    ray.init(
        log_to_driver=False,
        logging_level="ERROR",
        **({"include_dashboard": False} if local else {}),
    )
    try:
        yield
    finally:
        ray.shutdown()
