"""An ingress replica: the service's own app behind Ray Serve's proxies."""

import asyncio
import logging
from contextlib import suppress

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darling_service.app import create_app
from darling_service.cluster.metrics import samples_of
from darling_service.cluster.replicas import Replicas
from darling_service.cluster.shared import Word
from darling_service.cluster.sharing import (
    SharedCohorts,
    SharedHistory,
    SharedProcess,
    SharedVisits,
)
from darling_service.http.security_headers import SECURITY_HEADERS
from darling_service.http.state import Service
from darling_service.logs import configure
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)

BEAT_S = 1.0
"""Seconds between two words from the shared process."""


class IngressService(Service):
    """A service that leaves to others what has to be in one place, and the model's work."""

    def __init__(
        self,
        settings: Settings,
        replica: str,
        shared: SharedProcess,
        classifier: DeploymentHandle | None,
    ) -> None:
        telemetry = Telemetry()
        super().__init__(
            settings,
            telemetry,
            SharedHistory(settings, telemetry, shared),
            None if classifier is None else Replicas(classifier, settings, telemetry),
            SharedVisits(shared),
            SharedCohorts(shared),
        )
        self._replica, self._shared = replica, shared
        self._word = Word(keys=0, stopping=False, ready=False)
        self._beating: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await super().start()
        await self._beat()
        self._beating = asyncio.create_task(self._keep_beating())

    async def ready(self) -> bool:
        """Whether requests should be sent here, those of cohorts among them."""
        return self._word.ready and await super().ready()

    async def stop(self, grace_s: float) -> None:
        for task in (self._beating, self._ending):
            if task is not None:
                task.cancel()
        await super().stop(grace_s)

    async def exposition(self) -> bytes:
        """The metrics of all replicas as those of one service."""
        samples = samples_of(self.telemetry.registry)
        text: bytes = await self._shared.ask("exposition", self._replica, samples)
        return text

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._beat()

    async def _beat(self) -> None:
        """Tells the metrics, and does as the shared process says."""
        samples = samples_of(self.telemetry.registry)
        before = self._word
        try:
            self._word = await self._shared.ask("beat", self._replica, samples)
        except Exception as fault:  # of whatever kind: the next word may come
            log.warning("no word from the shared process: %s: %s", type(fault).__name__, fault)
            self._word = Word(before.keys, before.stopping, ready=False)
        if self._word.keys != before.keys:
            self.keys.reload()
        if self._word.stopping and not self.stopping:
            self.stopping = self.requests.refusing = True
            self._ending = asyncio.create_task(self._end_requests())

    async def _end_requests(self) -> None:
        """Answers 503 to what has no answer in time, before Ray Serve ends this process."""
        await self.requests.finish(self.settings.shutdown_grace_s)
        await self.requests.give_up()


class WithHeaders:
    """Adds the headers that every answer has, which the local server's uvicorn adds itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), text.encode()) for name, text in SECURITY_HEADERS]
                message = {**message, "headers": [*own, *message["headers"]]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


@serve.ingress()
class Ingress:
    """One replica, as Ray Serve starts it."""

    async def __init__(  # type: ignore[misc]  # Ray Serve awaits it
        self, settings: Settings, shared: DeploymentHandle, classifier: DeploymentHandle | None
    ) -> None:
        """Waits for the shared process and the classifier. Raises `ModelError`."""
        configure(settings.log_level, settings.log_format, settings.log_texts)
        replica = serve.get_replica_context().replica_tag
        self._service = IngressService(settings, replica, SharedProcess(shared), classifier)
        await self._service.start()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return WithHeaders(create_app(self._service, started=True))

    async def __del__(self) -> None:
        with suppress(AttributeError):  # a replica whose start failed
            await self._service.stop(self._service.settings.shutdown_grace_s)
