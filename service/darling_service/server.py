"""The app under uvicorn; a stop signal lets requests in flight finish first."""

import asyncio
import faulthandler
import gc
import logging
import multiprocessing
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from math import ceil
from types import FrameType
from typing import NoReturn

import uvicorn

from darling_models.errors import ModelError
from darling_service import tracing
from darling_service.app import create_app
from darling_service.http.connection_limits import LimitedConnection
from darling_service.http.security_headers import SECURITY_HEADERS
from darling_service.http.state import Service
from darling_service.key_sources import refuse_strangers_without_key
from darling_service.listening import listen
from darling_service.logs import configure, log_unexpected
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
LINGER_S = 0.2
"""Seconds in which requests are still taken after a stop signal, such as those on their way."""
POLL_S = 0.01
"""Seconds between two looks at the backlog, in which the event loop accepts what waits there."""
END_S = 5.0
"""Seconds beyond `shutdown_grace_s` after which the process ends whatever it hangs in, its event
loop included. Closing the connections takes up to one, on a busy machine some more."""


class Server(uvicorn.Server):
    """A server that answers what it has accepted before it ends."""

    def __init__(self, settings: Settings) -> None:
        self._service = Service(settings)
        self._grace_s = settings.shutdown_grace_s
        self._stop_by = 0.0
        self.failure: ModelError | None = None
        super().__init__(
            uvicorn.Config(
                create_app(self._service, on_failed_start=self._give_up),
                http=LimitedConnection,
                ws="none",
                headers=SECURITY_HEADERS,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                log_level="warning",
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=1,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves on these sockets until a stop signal. Waits for no thread: one may hang."""
        loop = (self.config.get_loop_factory() or asyncio.new_event_loop)()
        loop.set_exception_handler(log_unexpected)
        loop.run_until_complete(self.serve(sockets))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._service.settings.key_file is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._service.keys.reload)
        for bound in sockets or () if not self.should_exit else ():
            host, port = bound.getsockname()[:2]
            shown = f"[{host}]" if bound.family == socket.AF_INET6 else host
            log.info("listening on http://%s:%d, docs at /docs", shown, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.failure is None:
            await asyncio.sleep(LINGER_S)
            await self._empty_backlog(sockets or ())
            for server in self.servers:
                server.close()
            await self._service.stop(max(self._stop_by - time.monotonic(), 0.0))
            # Answers that are given may still be on their way to slow readers.
            left_s = self._stop_by - time.monotonic()
            self.config.timeout_graceful_shutdown = max(ceil(left_s), 1)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the stop; a second signal ends the process at once.

        uvicorn's own handler would raise the signal again at the end, which makes a regular stop
        look like a failure.
        """
        if self.should_exit:
            os._exit(128 + sig)
        log.info("stopping; requests in flight are answered first")
        self._stop_by = time.monotonic() + self._grace_s
        faulthandler.dump_traceback_later(self._grace_s + END_S, exit=True)
        self._service.stopping = self.should_exit = True

    async def _empty_backlog(self, sockets: Sequence[socket.socket]) -> None:
        """Accepts the connections that closing the sockets would reset, and reads from them."""
        waiting = select.poll()
        for bound in sockets:
            waiting.register(bound, select.POLLIN)
        for _ in range(round(self._grace_s / POLL_S)):
            await asyncio.sleep(POLL_S)
            if not waiting.poll(0):
                break
        await asyncio.sleep(POLL_S)

    def _give_up(self, error: ModelError) -> None:
        self.failure = error
        self.should_exit = True


def run(settings: Settings) -> None:
    """Serves until a stop signal; SIGHUP has the file of the API keys read anew.

    Raises `ValueError` if other machines could use the service without a key, unasked, `OSError` if
    the address cannot be listened on, and `ModelError` if the models cannot be loaded; the caller
    then ends the process by `end`, since threads may still be at work.
    """
    refuse_strangers_without_key(settings.host, settings.keys(), settings.allow_no_key)
    configure(settings.log_level, settings.log_format, settings.log_texts)
    if settings.traces_url is not None:
        tracing.start(settings.traces_url)
    _warn_of_unread_variables(settings)
    _allow_open_files()
    gc.set_threshold(YOUNG_OBJECTS)
    sockets = listen(settings.host, settings.port, BACKLOG)
    server = Server(settings)
    server.run(sockets)
    if server.failure is not None:
        raise server.failure


def end(status: int) -> NoReturn:
    """Ends the process without waiting for its threads, of which one may hang for ever."""
    for worker in multiprocessing.active_children():
        worker.kill()
    tracing.flush()
    logging.shutdown()
    sys.stdout.flush()  # standard error has lines; where nobody reads it, this would wait for ever
    os._exit(status)


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
