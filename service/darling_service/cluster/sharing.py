"""What an ingress replica leaves to the one process behind all of them (`shared`)."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ray.serve.handle import DeploymentHandle

from darling_models.protocol import IntArray
from darling_service.caller import CALLER
from darling_service.cluster.asking import Ended, ask
from darling_service.errors import NotFound, Problem, Unavailable
from darling_service.history.history import NO_HISTORY, History
from darling_service.history.recorded import Recorded
from darling_service.history.store import Store
from darling_service.schemas.requests import RolloutRequest
from darling_service.schemas.responses import RolloutResponse
from darling_service.scoring.visits import Visit
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

RETRY_AFTER_S = 2.0
"""Seconds after which the shared process, once it has ended, may run again."""


class SharedProcess:
    """Calls of the shared process."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    async def ask(self, method: str, *question: Any) -> Any:
        """What its method answers. Raises the problem that it has, and `Unavailable` where it
        ended."""
        try:
            return await ask(self._handle, method, *question)
        except Ended as ended:
            raise Unavailable(
                "the process that keeps cohorts, visits and the history has ended, and is started "
                f"again ({type(ended).__name__}); send the request again later",
                retry_after_s=RETRY_AFTER_S,
            ) from None


class SharedCohorts:
    """The cohorts of all ingress replicas."""

    def __init__(self, shared: SharedProcess) -> None:
        self._shared = shared

    async def reward(self, request: RolloutRequest, beside: Sequence[Any] = ()) -> RolloutResponse:
        """The rollout's share of its group's answer, once the group is there.

        Raises `Invalid`, `Conflict`, `Overloaded`, `Unavailable`.
        """
        share: RolloutResponse = await self._shared.ask("reward", CALLER.get(), request, beside)
        return share

    def end(self) -> None:
        """Nothing: cohorts outlive an ingress replica."""


class SharedVisits:
    """The counts of all ingress replicas."""

    def __init__(self, shared: SharedProcess) -> None:
        self._shared = shared

    async def count(
        self, run: str, step: int, groups: Sequence[Visit]
    ) -> Sequence[IntArray | None]:
        """How often each rollout's answer came in earlier steps, (n,) for each group."""
        counts: Sequence[IntArray] = await self._shared.ask(
            "count", CALLER.get(), run, step, groups
        )
        return counts


class SharedHistory(History):
    """The history of all ingress replicas, which the shared process writes and reads."""

    def __init__(self, settings: Settings, telemetry: Telemetry, shared: SharedProcess) -> None:
        super().__init__(settings, telemetry)
        self._shared = shared
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Waits until what has been recorded is there."""
        await asyncio.gather(*self._sending)

    @property
    def on(self) -> bool:
        return self._settings.history_url is not None

    def take(self, groups: Sequence[Recorded]) -> None:
        assert self._loop is not None, "nothing is scored before the start"
        self._loop.call_soon_threadsafe(self._send_soon, groups)

    async def read(self, question: Callable[[Store], Answer]) -> Answer:
        if not self.on:
            raise NotFound(NO_HISTORY)
        answer: Answer = await self._shared.ask("read", question)
        return answer

    def _send_soon(self, groups: Sequence[Recorded]) -> None:
        sending = asyncio.create_task(self._send(groups))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send(self, groups: Sequence[Recorded]) -> None:
        try:
            await self._shared.ask("record", groups)
        except Problem as problem:
            self._telemetry.history_groups.labels("dropped").inc(len(groups))
            log.warning("groups are missing in the history: %s", problem)
