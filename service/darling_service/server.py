"""The app under uvicorn; a stop signal lets requests in flight finish first."""

import asyncio
import gc
import logging
import os
import socket
import sys
from types import FrameType

import uvicorn

from darling_models.errors import ModelError
from darling_service import tracing
from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.logs import configure
from darling_service.misspelt import misspelt
from darling_service.service_links import is_service_link
from darling_service.settings import Settings

log = logging.getLogger(__name__)

BACKLOG = 65_535
"""Connections that may wait to be accepted, so that none is refused when a whole batch of rollouts
arrives at once; the kernel lowers the number to net.core.somaxconn."""
KEEP_ALIVE_S = 120
"""Seconds that an idle connection stays open: longer than clients keep one (httpx 5 s, aiohttp
15 s), so that the client closes it; a request that crosses a close by the server is reset."""
YOUNG_OBJECTS = 50_000
"""Allocations between two runs of the garbage collector. A waiting rollout holds some hundred
objects: with Python's default of 700, the collector would go through those of thousands of waiting
rollouts again and again."""


class Server(uvicorn.Server):
    """A server that drains the service on the first stop signal, while uvicorn closes down."""

    def __init__(self, settings: Settings) -> None:
        self._service = Service(settings)
        self.failure: ModelError | None = None
        super().__init__(
            uvicorn.Config(
                create_app(self._service, on_failed_start=self._give_up),
                host=settings.host,
                port=settings.port,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                log_level="warning",
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=int(settings.shutdown_grace_s + 1),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                log.info("listening on http://%s:%d, docs at /docs", host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the stop; a second signal ends the process at once.

        uvicorn's own handler would raise the signal again at the end, which makes a regular stop
        look like a failure.
        """
        if self.should_exit:
            self.force_exit = True
            return
        log.info("stopping; requests in flight are answered first")
        self._draining = asyncio.get_running_loop().create_task(self._service.drain())
        self.should_exit = True

    def _give_up(self, error: ModelError) -> None:
        self.failure = error
        self.should_exit = True


def run(settings: Settings) -> None:
    """Serves until a stop signal. Raises `ModelError` if the models cannot be loaded."""
    configure(settings.log_level, settings.log_format)
    if settings.traces_url is not None:
        tracing.start(settings.traces_url)
    _warn_of_unread_variables(settings)
    _allow_open_files()
    gc.set_threshold(YOUNG_OBJECTS)
    server = Server(settings)
    server.run()
    if server.failure is not None:
        raise server.failure


def _warn_of_unread_variables(settings: Settings) -> None:
    """Says which variables look like settings and are not read: misspelt, or set by Kubernetes."""
    for line in misspelt(os.environ, Settings.model_fields):
        log.warning("%s", line)
    for name, value in os.environ.items():
        if name.upper() == "DARLING_PORT" and is_service_link(name, value):
            log.warning(
                "%s is %s, which Kubernetes sets for a Service of that name: it is not read, and "
                "the port is %d; choose another with --port, or set enableServiceLinks: false",
                *(name, value, settings.port),
            )


def _allow_open_files() -> None:
    """Raises the limit of open files to the system's maximum: each waiting rollout holds one."""
    if sys.platform != "win32":
        import resource

        _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
