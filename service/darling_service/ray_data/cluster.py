"""The Ray cluster that does the work, and how many workers it has room for."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.exceptions import RayError, RayTaskError

from darling_service.ray_data.room import Room, largest, workers_that_fit

log = logging.getLogger(__name__)

FAULT = "fault"
"""Column of what keeps a row from its result. As a value it reaches the user as it is; Ray would
wrap an exception in its own, and try again."""


MAX_RETRIES = 10
"""Times that a row's work is tried again after its worker died: more than a busy cluster takes
workers away from one row, and a row that kills each of them does not keep the run for ever."""


class WorkFailed(ValueError):
    """The work cannot go on. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster, and what the workers of a run may take of it."""

    address: str | None = None
    """Address of the cluster; None: what `RAY_ADDRESS` says, else a cluster that is started on this
    machine, and stopped at the end."""
    workers: int | None = None
    """Number of workers at most, each with a copy of the model; None: as many as there is room
    for."""
    worker_cpus: float = 1
    """CPUs that each worker takes; torch computes in as many threads."""
    worker_gpus: float = 0
    """GPUs, or the part of one, that each worker takes."""

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Connects to the cluster. A connection that there is already is used and kept."""
        context = DataContext.get_current()
        context.enable_progress_bars = False  # the command has its own
        context.target_max_block_size = 1  # each row is a block, which any worker may take
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        if ray.is_initialized():
            yield
            return
        address = self._address()
        own = {"include_dashboard": False} if address == "local" else {}
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
        try:
            yield
        finally:
            ray.shutdown()

    def actors(self) -> dict[str, Any]:
        """The arguments of Ray Data's `map` about its workers, once connected.

        Raises `WorkFailed` if no machine of a cluster that was started here has room for a worker.
        A cluster that ran already may grow, so there it is a warning.
        """
        worker = Room(self.worker_cpus, self.worker_gpus)
        machines = [
            Room(node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
            for node in ray.nodes()
            if node["Alive"]
        ]
        room = sum(workers_that_fit(machine, worker) for machine in machines)
        if room == 0:
            message = (
                f"a worker takes {worker}, and the largest machine of the Ray cluster has "
                f"{largest(machines, worker)}; lower --worker-cpus or --worker-gpus"
            )
            if self._address() == "local":
                raise WorkFailed(message)
            log.warning("%s, or let the cluster grow", message)
        pool = ActorPoolStrategy(min_size=1, max_size=self.workers or room or None)
        return {
            "compute": pool,
            "num_cpus": self.worker_cpus,
            "num_gpus": self.worker_gpus,
            "max_task_retries": MAX_RETRIES,
        }

    def _address(self) -> str:
        return self.address or os.environ.get("RAY_ADDRESS", "local")


def results(rows: Dataset) -> Iterator[dict[str, Any]]:
    """The rows as the workers finish them, in any order. Raises `WorkFailed`."""
    try:
        for row in rows.iter_rows():
            if fault := row.pop(FAULT):
                raise WorkFailed(fault)
            yield row
    except RayTaskError:  # an error in the code, which tells its own traceback
        raise
    except RayError as error:
        reason = str(error).partition("\n")[0]
        raise WorkFailed(f"Ray gave up: {reason}; run the same command to go on") from error


def require_one_model(first: str, model: str) -> str:
    """The model of all workers so far. Raises `WorkFailed` if their bits may differ."""
    if first not in ("", model):
        raise WorkFailed(
            f"workers have the models {first} and {model}: their machines differ, or chose other "
            "kernels; set --kernels to what /v1/models shows of one of them, or --runtime float32"
        )
    return model
