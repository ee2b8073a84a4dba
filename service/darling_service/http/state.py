"""The parts that answer requests, and how a route gets at them."""

import gc
from collections.abc import Sequence
from typing import Any, Protocol

from starlette.requests import Request

from darling_service.cohorts.cohorts import Cohorts
from darling_service.engine.pool import Pool
from darling_service.history.history import History
from darling_service.http.body_budget import BodyBudget
from darling_service.http.stopping import Requests
from darling_service.keys import Keys
from darling_service.pipeline import Pipeline
from darling_service.quality.sources import Qualities
from darling_service.schemas.requests import RolloutRequest
from darling_service.schemas.responses import RolloutResponse
from darling_service.scoring.visits import VisitCounts
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry


class Gathering(Protocol):
    """What brings the rollouts of a cohort together: `Cohorts`, here or in another process."""

    async def reward(self, request: RolloutRequest, beside: Sequence[Any] = ()) -> RolloutResponse:
        """The rollout's share of its group's answer, once the group is there."""
        ...

    def end(self) -> None:
        """Scores cohorts as they are, now and from now on."""
        ...


class Service:
    """Everything that lives as long as the app does; `app.state.service` holds it."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry | None = None,
        history: History | None = None,
        pool: Pool | None = None,
        visits: VisitCounts | None = None,
        cohorts: Gathering | None = None,
    ) -> None:
        """What is given, other processes do for this one; the rest it does by itself."""
        self.settings = settings
        self.keys = Keys(settings.keys)
        telemetry = telemetry or Telemetry()
        self.history = history or History(settings, telemetry)
        self.pipeline = Pipeline(settings, telemetry, self.history, pool, visits)
        self.cohorts: Gathering = cohorts or Cohorts(self.pipeline)
        self.qualities = Qualities(settings, self.telemetry)
        self.bodies = BodyBudget(settings.body_bytes)
        self.requests = Requests()
        self.stopping = False

    @property
    def telemetry(self) -> Telemetry:
        return self.pipeline.telemetry

    async def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return self.telemetry.exposition()

    async def start(self) -> None:
        """Opens the visits file and the history, loads the quality source and the models.

        Raises `ModelError`.
        """
        self.pipeline.open()
        await self.history.start()
        await self.qualities.start()
        await self.pipeline.start()
        # What has been loaded stays: the garbage collector would hold up all threads over it.
        gc.freeze()

    async def ready(self) -> bool:
        """Whether requests should be sent here."""
        return not self.stopping and await self.pipeline.ready() and await self.qualities.ready()

    async def stop(self, grace_s: float) -> None:
        """Refuses new requests, scores the cohorts that wait, and answers what is in flight.

        What has no answer after `grace_s` seconds gets 503.
        """
        self.stopping = self.requests.refusing = True
        self.cohorts.end()
        await self.requests.finish(grace_s)
        await self.requests.give_up()
        await self.pipeline.stop()
        await self.history.stop()


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
