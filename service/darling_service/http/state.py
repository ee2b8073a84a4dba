"""The parts that answer requests, and how a route gets at them."""

from starlette.requests import Request

from darling_service.cohorts.cohorts import Cohorts
from darling_service.keys import Keys
from darling_service.pipeline import Pipeline
from darling_service.quality.sources import Qualities
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry


class Service:
    """Everything that lives as long as the app does; `app.state.service` holds it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = Keys(settings.keys)
        self.pipeline = Pipeline(settings)
        self.cohorts = Cohorts(self.pipeline)
        self.qualities = Qualities(settings, self.telemetry)

    @property
    def telemetry(self) -> Telemetry:
        return self.pipeline.telemetry

    async def start(self) -> None:
        """Loads the quality source and the models. Raises `ModelError`."""
        await self.qualities.start()
        await self.pipeline.start()

    async def drain(self) -> None:
        """Refuses new requests, and answers those in flight within `shutdown_grace_s`, or 503."""
        self.cohorts.drain()
        await self.pipeline.drain()


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
