"""Requests while the service stops: new ones are refused, and none is left without an answer."""

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darling_service.errors import Unavailable
from darling_service.http.problems import problem_response

log = logging.getLogger(__name__)

RETRY_AFTER_STOP_S = 5.0
"""Seconds that a caller is told to wait for the service, which another process may take over."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of health checks, metrics and documentation, which are answered to the end."""
ANSWER_S = 0.5
"""Seconds in which the 503 of a request that is given up has to be on its way."""


class Requests:
    """The requests that are being answered, on one event loop."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        """Each answers one request, of a method that is not among `READS`."""
        self.refusing = False
        """Whether new requests get 503."""
        self.given_up = False
        """Whether those that are left get 503, too."""

    async def finish(self, seconds: float) -> None:
        """Waits until all are answered, `seconds` at most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self.tasks and (left_s := end - loop.time()) > 0:
            await asyncio.wait(self.tasks, timeout=left_s)

    async def give_up(self) -> None:
        """Answers 503 to those that are left, wherever they hang."""
        self.given_up = True
        if not self.tasks:
            return
        log.warning("requests without an answer, which now get 503: %d", len(self.tasks))
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks, timeout=ANSWER_S)


class AnswerWhileStopping:
    """Answers 503 to requests that come too late, and to those that are given up."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READS:
            await self._app(scope, receive, send)
        elif self._requests.refusing:
            await _refuse(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        task = asyncio.current_task()
        assert task is not None
        self._requests.tasks.add(task)
        try:
            await self._app(scope, receive, send_noted)
        except asyncio.CancelledError:
            if started or not self._requests.given_up:
                raise
            task.uncancel()
            await _refuse(scope, receive, send)
        finally:
            self._requests.tasks.discard(task)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Unavailable(
        "the service is stopping; send the request again, to another replica if there is one",
        retry_after_s=RETRY_AFTER_STOP_S,
    )
    await problem_response(problem)(scope, receive, send)
