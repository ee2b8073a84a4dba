"""`darling-reward serve`: the app under uvicorn, with a stop that answers what is in flight."""

import asyncio
import gc
import logging
import socket
import sys
from types import FrameType

import uvicorn
from darling_models.errors import ModelError

from darling_service.app import create_app, drain
from darling_service.settings import Settings

log = logging.getLogger(__name__)

BACKLOG = 65_535
"""Connections that may wait to be accepted when a whole batch of rollouts comes at once; the kernel
allows net.core.somaxconn of them."""
KEEP_ALIVE_S = 120
"""Longer than clients keep an idle connection (httpx 5 s, aiohttp 15 s), so that it is they who
close it: a request that crosses the server's closing is reset."""
YOUNG_OBJECTS = 50_000
"""Allocations between two looks for garbage. A waiting rollout is some hundred objects: with
Python's 700, the service would look through those of thousands again and again."""


class Server(uvicorn.Server):
    """On the first signal, drains the pipeline; uvicorn then closes as the answers go out."""

    def __init__(self, settings: Settings) -> None:
        self._app = create_app(settings, on_failed_start=self._give_up)
        self.failed = False
        super().__init__(
            uvicorn.Config(
                self._app,
                host=settings.host,
                port=settings.port,
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
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                log.info("listening on http://%s:%d, docs at /docs", host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not uvicorn's own, which raises the signal again at the end: a stop asked for is no
        failure. A second interrupt ends at once.
        """
        if self.should_exit:
            self.force_exit = True
            return
        log.info("stopping; requests in flight are answered first")
        self._draining = asyncio.get_running_loop().create_task(drain(self._app))
        self.should_exit = True

    def _give_up(self, error: ModelError) -> None:
        self.failed = True
        self.should_exit = True


def run(settings: Settings) -> int:
    """Serves until stopped; returns the process's exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _allow_open_files()
    gc.set_threshold(YOUNG_OBJECTS)
    server = Server(settings)
    server.run()
    return 1 if server.failed else 0


def _allow_open_files() -> None:
    """As many connections as the system allows: each waiting rollout holds one."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
