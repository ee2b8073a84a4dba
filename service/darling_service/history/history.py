"""The history of runs, where the setting `history_url` names a store for it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from darling_service.errors import NotFound, Unavailable
from darling_service.history.figures import Figures
from darling_service.history.recorded import Recorded, RunKey, StepKey, WholeGroup
from darling_service.history.sample import Sample
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

if TYPE_CHECKING:  # SQLAlchemy takes 0.3 s to import, and is for those who keep a history
    from darling_service.history.recorder import Recorder
    from darling_service.history.store import Store

Answer = TypeVar("Answer")

READ_S = 10.0
"""Seconds that a look into the history may take: a million steps take one or two."""
RETRY_AFTER_OPENING_S = 1.0
"""Seconds after which a store that is being opened is worth another look."""
RETRY_AFTER_S = 5.0
"""Seconds after which a store that did not answer is worth another look."""

NO_HISTORY = (
    "this service keeps no history; start it with --history-url sqlite:////PATH/history.db "
    "(DARLING_HISTORY_URL)"
)


class History:
    """Records groups and answers questions about them; does neither without a store."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._sample = Sample(settings.history_groups)
        self._recorder: Recorder | None = None
        # Threads of their own: whoever waits for the store must not hold up other work.
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="history-readers")

    async def start(self) -> None:
        """Opens the store, if there is one. Raises `ModelError` if it cannot be used."""
        if self._settings.history_url is None:
            return
        from darling_service.history.recorder import Recorder

        recorder = Recorder(self._settings, self._telemetry)
        await asyncio.to_thread(recorder.start)
        self._recorder = recorder

    async def stop(self) -> None:
        """Writes what is waiting to be written, within a limit of time."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            await asyncio.to_thread(recorder.stop)
        self._readers.shutdown(wait=False)

    @property
    def on(self) -> bool:
        return self._recorder is not None

    def record(
        self,
        run: RunKey,
        step: int | None,
        groups: Sequence[tuple[Figures, WholeGroup]],
    ) -> None:
        """Takes note of the groups of one request. May be called in any thread; never waits."""
        if not self.on:
            return
        at = time.time()
        self.take(
            [
                Recorded(run, step, at, figures, whole if self._draws(run, step, whole) else None)
                for figures, whole in groups
            ]
        )

    def take(self, groups: Sequence[Recorded]) -> None:
        """Takes note of groups, of which those that are kept as a whole have been drawn. May be
        called in any thread; never waits."""
        if self._recorder is not None:
            self._recorder.record(groups)

    async def read(self, question: Callable[["Store"], Answer]) -> Answer:
        """What the store answers, asked in a thread.

        Raises `NotFound` where there is no store, and `Unavailable` where it does not answer.
        """
        if self._recorder is None and self._settings.history_url is not None:
            raise Unavailable("the history is not open", retry_after_s=RETRY_AFTER_OPENING_S)
        if self._recorder is None:
            raise NotFound(NO_HISTORY)
        from sqlalchemy.exc import SQLAlchemyError

        from darling_service.history.store import reason_of

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(READ_S):
                return await loop.run_in_executor(self._readers, question, self._recorder.store)
        except TimeoutError:
            reason = f"it takes more than {READ_S:g} s"
        except SQLAlchemyError as error:
            reason = reason_of(error)
        raise Unavailable(
            f"the history cannot be read now: {reason}; send the request again later",
            retry_after_s=RETRY_AFTER_S,
        )

    def _draws(self, run: RunKey, step: int | None, whole: WholeGroup) -> bool:
        """Whether a group is kept as a whole. One without a step is a step of its own."""
        if self._settings.history_groups == 0:
            return False
        if step is None:
            return True
        return self._sample.draws(StepKey(run, step), whole.key(run, step))
