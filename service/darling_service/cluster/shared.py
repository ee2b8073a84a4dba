"""The one process behind all ingress replicas: it keeps what has to be in one place.

Cohorts and counts of visits are kept here, the history is written here, and the metrics of all
replicas are added up here. Cohorts are scored here, too, by a pipeline like any other.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ray.serve.handle import DeploymentHandle

from darling_service.caller import CALLER
from darling_service.cluster.classifier import Reply
from darling_service.cluster.metrics import HEARD_S, Samples, Together, samples_of
from darling_service.cluster.replicas import Replicas
from darling_service.cohorts.cohorts import Cohorts
from darling_service.history.history import History
from darling_service.history.recorded import Recorded
from darling_service.history.store import Store
from darling_service.logs import configure
from darling_service.pipeline import Pipeline
from darling_service.schemas.requests import RolloutRequest
from darling_service.schemas.responses import RolloutResponse
from darling_service.scoring.visits import Visit, Visits
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

T = TypeVar("T")

LOOK_S = 0.1
"""Seconds between two looks at whether requests are still being answered."""
OWN = "shared"
"""Name of this process among those whose metrics are added up."""


@dataclass(frozen=True, slots=True)
class Word:
    """What an ingress replica is told every second."""

    keys: int
    """How often the API keys have been asked to be read anew."""
    stopping: bool
    ready: bool
    """Whether cohorts are scored."""


class Shared:
    """Its methods are called through Ray Serve, any number at a time, and answer with `Reply`."""

    async def __init__(  # type: ignore[misc]  # Ray Serve awaits it
        self, settings: Settings, classifier: DeploymentHandle | None
    ) -> None:
        """Opens the visits file and the history, and waits for the classifier. `classifier`: None
        where this process asks a model server or compares words itself. Raises `ModelError`."""
        configure(settings.log_level, settings.log_format, settings.log_texts)
        self._telemetry = telemetry = Telemetry()
        self._history = History(settings, telemetry)
        self._visits = Visits(settings.visits_file, settings.max_visits)
        pool = None if classifier is None else Replicas(classifier, settings, telemetry)
        self._pipeline = Pipeline(settings, telemetry, self._history, pool, self._visits)
        self._cohorts = Cohorts(self._pipeline)
        self._grace_s = settings.shutdown_grace_s
        self._keys = 0
        self._stopping = False
        await self._history.start()
        await self._pipeline.start()
        self._metrics = Together()  # others can tell theirs from now on
        gc.freeze()

    async def reward(
        self, caller: str, request: RolloutRequest, beside: Sequence[Any]
    ) -> Reply[RolloutResponse]:
        """The rollout's share of its cohort's answer."""
        return await self._reply(caller, lambda: self._cohorts.reward(request, beside))

    async def count(
        self, caller: str, run: str, step: int, groups: Sequence[Visit]
    ) -> Reply[Sequence[Any]]:
        """How often each answer came in earlier steps."""
        return await self._reply(caller, lambda: self._visits.count(run, step, groups))

    async def record(self, groups: Sequence[Recorded]) -> Reply[None]:
        """Takes note of groups in the history."""
        self._history.take(groups)
        return None, None

    async def read(self, question: Callable[[Store], Any]) -> Reply[Any]:
        """What the history's store answers."""
        return await self._reply("", lambda: self._history.read(question))

    async def beat(self, replica: str, samples: Samples) -> Reply[Word]:
        """The word of the moment to an ingress replica, which tells its metrics."""
        self._metrics.tell(replica, samples)
        return None, Word(self._keys, self._stopping, await self._pipeline.ready())

    async def exposition(self, replica: str, samples: Samples) -> Reply[bytes]:
        """The metrics of all replicas as those of one service, once all have told theirs."""
        self._metrics.tell(replica, samples)
        await asyncio.sleep(self._metrics.whole_in_s())
        self._metrics.tell(OWN, samples_of(self._telemetry.registry))
        return None, self._metrics.exposition()

    async def reload_keys(self) -> Reply[None]:
        """Has every ingress replica read the API keys anew."""
        self._keys += 1
        return None, None

    async def end(self) -> Reply[None]:
        """Has every ingress replica refuse new requests, scores the cohorts that wait, and waits
        until all is answered, `shutdown_grace_s` at most."""
        self._stopping = True
        self._cohorts.end()
        until = time.monotonic() + self._grace_s
        await asyncio.sleep(HEARD_S)
        while time.monotonic() < until:
            if self._metrics.total("darling_requests_in_flight") == 0:
                break
            await asyncio.sleep(LOOK_S)
        return None, None

    async def __del__(self) -> None:
        await self._pipeline.stop()
        await self._history.stop()

    async def _reply(self, caller: str, answer: Callable[[], Awaitable[T]]) -> Reply[T]:
        CALLER.set(caller)
        try:
            return None, await answer()
        except asyncio.CancelledError:
            raise
        except Exception as fault:
            return fault, None
