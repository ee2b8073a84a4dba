"""The app under uvicorn; a stop signal lets requests in flight finish first."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from types import FrameType

import uvicorn

from darling_models.errors import ModelError
from darling_service.app import create_app
from darling_service.http.connection_limits import LimitedConnection
from darling_service.http.state import Service
from darling_service.key_sources import refuse_strangers_without_key
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

SECURITY_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),  # a URL may hold the key
    ("Cache-Control", "no-store"),  # a cache between would keep rewards, and the answers to a key
    (
        "Content-Security-Policy",
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]
"""Headers of every answer, errors among them. The page at /docs has a script of its own in it, and
needs nothing from other hosts."""


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
                http=LimitedConnection,
                ws="none",
                headers=SECURITY_HEADERS,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                log_level="warning",
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=int(settings.shutdown_grace_s + 1),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._service.settings.key_file is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._service.keys.reload)
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
    """Serves until a stop signal; SIGHUP has the file of the API keys read anew.

    Raises `ModelError` if the models cannot be loaded, and `ValueError` if other machines could use
    the service without a key, unasked.
    """
    refuse_strangers_without_key(settings.host, settings.keys(), settings.allow_no_key)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _warn_of_service_links(settings)
    _allow_open_files()
    gc.set_threshold(YOUNG_OBJECTS)
    server = Server(settings)
    server.run()
    if server.failure is not None:
        raise server.failure


def _warn_of_service_links(settings: Settings) -> None:
    """Says which variable looks like a setting and is not read, because Kubernetes has set it."""
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
