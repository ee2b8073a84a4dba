"""The classifier replicas, as an ingress replica's engine asks them: the `Pool` of a cluster.

Ray Serve chooses the replica of each question, starts those that end again, and adds and removes
some as it is told. What a replica was asked that ended is asked of another one, once.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import wait
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from darling_models.errors import ModelError, ModelHung, ModelUnavailable
from darling_models.protocol import FloatArray, Planner, Result, Steps, Unit
from darling_service.cluster.asking import Ended, ask
from darling_service.engine.worker import Task
from darling_service.engine.workers import TRIES
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""Seconds between two looks at how many replicas run."""
LOOK_S = 0.02
"""Seconds that a comparing thread waits for an answer before it lets another comparison go on."""


class Replicas:
    """A `Pool`."""

    def __init__(self, handle: DeploymentHandle, settings: Settings, telemetry: Telemetry) -> None:
        self.count = settings.workers
        self.patience_s = settings.model_timeout_s
        self.alive: Sequence[object] = ()
        self._handle = handle
        self._timeout_s = settings.model_timeout_s
        self._telemetry = telemetry
        self._revision = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None
        self._alive_at = 0.0
        """When a replica was last seen, by the monotonic clock."""
        self._stopped = False

    async def start(self) -> Planner:
        """Waits for the first replica. Ray Serve tells why there is none."""
        self._loop = asyncio.get_running_loop()
        planner: Planner = await ask(self._handle, "planner")
        self._revision = planner.info.revision
        self._see(1)
        self._watching = asyncio.create_task(self._watch())
        return planner

    def stop(self) -> None:
        self._stopped = True
        if self._watching is not None:
            self._watching.cancel()
        self.alive = ()
        self._telemetry.workers.set(0)

    async def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                results: Sequence[Result] = await self._ask("run", units)
        except TimeoutError:
            if not limit.expired():  # the model's own
                raise
            raise ModelHung(f"no result in model_timeout_s = {self._timeout_s:g}") from None
        return results

    def compare(self, task: Task) -> Steps[FloatArray]:
        assert self._loop is not None, "only a pool that has been started is asked"
        asked = asyncio.run_coroutine_threadsafe(self._ask("compare", task), self._loop)
        try:
            while not wait([asked], LOOK_S).done:
                self._require_some()
                yield
            answer: FloatArray = asked.result()
            return answer
        finally:
            asked.cancel()

    async def _ask(self, method: str, question: Any) -> Any:
        for _ in range(TRIES):
            while not self.alive:
                self._require_some()
                await asyncio.sleep(LOOK_S)
            try:
                return await ask(self._handle, method, self._revision, question)
            except Ended as ended:
                log.warning("a classifier replica has ended (%s)", type(ended).__name__)
                self._telemetry.worker_ends.inc()
        raise ModelError(
            "two classifier replicas have ended over a question; their memory may be too small "
            "for max_batch_tokens"
        )

    def _require_some(self) -> None:
        """Raises `ModelHung` where there has been no replica for long, and `ModelUnavailable` after
        `stop`."""
        if self._stopped:
            raise ModelUnavailable("the service stops")
        if not self.alive and time.monotonic() - self._alive_at > self._timeout_s:
            raise ModelHung(f"there was no classifier replica for {self._timeout_s:g} s")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self._see(await asyncio.to_thread(running, self._handle))
            except Exception as fault:  # Ray Serve's controller is being started again
                log.warning("Ray Serve does not say which replicas run: %s", type(fault).__name__)

    def _see(self, count: int) -> None:
        self.alive = range(count)
        self._telemetry.workers.set(count)
        if count:
            self._alive_at = time.monotonic()


def running(handle: DeploymentHandle) -> int:
    """Number of replicas that run of this deployment."""
    deployments = serve.status().applications[handle.app_name].deployments
    return int(deployments[handle.deployment_name].replica_states.get("RUNNING", 0))
