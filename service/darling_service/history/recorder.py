"""Writing the history beside the requests.

Whoever scores a group puts it into a queue and goes on. One thread empties the queue twice a second
and writes what is in it as one transaction. So a reward is never slowed down, and never fails: as
long as the store cannot be written, groups wait within `MAX_WAITING_BYTES`, and those beyond are
dropped and counted.
"""

import logging
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError, OperationalError

from darling_models.errors import ModelError
from darling_service.history.figures import total
from darling_service.history.recorded import MAX_STEP, Recorded, RunKey, StepKey
from darling_service.history.store import (
    GroupRow,
    Kept,
    StepSums,
    Store,
    is_corrupt,
    is_lasting,
    reason_of,
    set_aside,
)
from darling_service.history.tables import NewerStore
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)

FLUSH_S = 0.5
"""Seconds between two writes. A process that is killed loses what has come since the last."""
RETRY_S = 2.0
"""Seconds after a write that failed. The next one writes all that waits, which has to be made into
JSON again: 50 ms for 64 MiB, in which no reward is computed."""
STOP_S = 2.0
"""Seconds that the end of the service waits for the last write, which takes milliseconds."""
PRUNE_S = 60.0
"""Seconds between two looks for what is too old or too much."""
MAX_WAITING_BYTES = 64 * 2**20
"""Memory in bytes for groups that wait to be written: minutes of a busy service, or some hundred
groups with the longest texts."""
MAX_RUNS = 1000
"""Runs whose next step is remembered, about 200 bytes each; it can be read from the store again."""


class Recorder:
    """The queue, and the thread that writes."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        """Does not open the store. Raises `ModelError` if its URL names none."""
        assert settings.history_url is not None
        self._url = settings.history_url
        self._kept = Kept(settings.history_groups, settings.history_bytes, settings.history_days)
        self._counter = telemetry.history_groups
        self.store = Store(self._url)
        self._prepared = False
        self._failing = False
        self._lock = threading.Lock()
        self._waiting: list[Recorded] = []
        self._held = 0
        """Bytes of the groups that wait, those that are being written among them."""
        self._next: OrderedDict[RunKey, int] = OrderedDict()
        """The step of the next group that names none, by run."""
        self._prune_at = 0.0
        self._damaged: Exception | None = None
        """By what damage the store could not be pruned."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)

    def start(self) -> None:
        """Opens the store and starts to write. Raises `ModelError` if it cannot be used."""
        try:
            self._prepare()
        except NewerStore as error:
            # A rollback must not end the rewards.
            self._tell(error)
        except (DBAPIError, OSError) as error:
            if isinstance(error, OSError) or is_lasting(error):
                raise ModelError(
                    f"history_url cannot be used: {reason_of(error)}; name a file in a folder that "
                    "this user may write to, or an empty database"
                ) from error
            self._tell(error)
        self._thread.start()

    def stop(self) -> None:
        """Writes what is waiting, for at most `STOP_S` seconds."""
        self._stopping.set()
        self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self.store.close()

    def record(self, groups: Sequence[Recorded]) -> None:
        """Takes note of groups, to write them soon. May be called in any thread; never waits."""
        dropped = 0
        with self._lock:
            for group in groups:
                if self._held + group.nbytes > MAX_WAITING_BYTES:
                    dropped += 1
                    continue
                self._held += group.nbytes
                self._waiting.append(group)
        if dropped:
            self._counter.labels("dropped").inc(dropped)

    def _work(self) -> None:
        while not self._stopping.wait(RETRY_S if self._failing else FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        """Writes what is waiting; what fails and may work later goes on waiting."""
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            self._write(batch)
        except Exception as error:
            self._forget()
            self._tell(error)
            if isinstance(error, OperationalError):
                with self._lock:
                    self._waiting = batch + self._waiting
                return
            self._counter.labels("dropped").inc(len(batch))
        else:
            self._counter.labels("recorded").inc(len(batch))
            if self._failing:
                self._failing = False
                log.info("the history is written again")
        with self._lock:
            self._held -= sum(group.nbytes for group in batch)
        if self._prepared:  # and so not a store of another version
            self._prune()

    def _write(self, batch: Sequence[Recorded]) -> None:
        """Raises `DBAPIError`. A damaged file is set aside, and the batch begins a new one."""
        try:
            self._write_into_store(batch)
        except DBAPIError as error:
            if not is_corrupt(error):
                raise
            self._begin_anew(error)
            self._write_into_store(batch)

    def _write_into_store(self, batch: Sequence[Recorded]) -> None:
        if self._damaged is not None:
            self._begin_anew(self._damaged)
        if not self._prepared or self._is_gone():
            self._prepare()
        sums = defaultdict[StepKey, list[Recorded]](list)
        rows: dict[str, GroupRow] = {}
        for group in batch:
            step = StepKey(group.run, self._step_of(group))
            sums[step].append(group)
            if group.whole is not None:
                row = GroupRow(group.whole.key(*step), step, group.at, group.whole.body())
                rows[row.id] = row
        steps = {step: _sums(groups) for step, groups in sums.items()}
        self.store.write(steps, list(rows.values()), self._kept.groups)

    def _prune(self) -> None:
        """Drops what is too old or too much, now and then."""
        if time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + PRUNE_S
        try:
            self.store.prune(self._kept)
        except Exception as error:  # the next write tells whether that lasts
            log.warning("the history could not be pruned: %s", reason_of(error))
            # Writes may not touch the damaged pages, and the file would grow without end.
            self._damaged = error if is_corrupt(error) else None

    def _step_of(self, group: Recorded) -> int:
        """The group's step; one that names none is the step after the last."""
        following = self._next.get(group.run)
        if following is None:
            following = self.store.next_step(group.run)
        step = following if group.step is None else group.step
        self._next[group.run] = min(max(following, step + 1), MAX_STEP)
        self._next.move_to_end(group.run)
        if len(self._next) > MAX_RUNS:
            self._next.popitem(last=False)
        return step

    def _prepare(self) -> None:
        """Makes the tables, after setting a damaged file aside. Raises `DBAPIError`, `OSError` if
        the file cannot be renamed, and `NewerStore`."""
        try:
            self.store.prepare()
        except DBAPIError as error:
            if not is_corrupt(error):
                raise
            self._begin_anew(error)
        self._prepared = True

    def _begin_anew(self, error: Exception) -> None:
        file = self.store.file
        assert file is not None, "only files are damaged"
        self.store.close()
        self._forget()
        aside = set_aside(file)
        self._damaged = None
        log.error(
            "the history %s is damaged (%s); it is now %s, and a new one is begun",
            *(file, reason_of(error), aside),
        )
        self.store = Store(self._url)
        self.store.prepare()
        self._prepared = True

    def _is_gone(self) -> bool:
        """Whether somebody has removed the file, which would still take what is written."""
        file = self.store.file
        if file is None or file.exists():
            return False
        self.store.close()
        self._forget()
        return True

    def _forget(self) -> None:
        """Forgets what is known of the store: it may be another, or empty, when it works again."""
        self._prepared = False
        self._next.clear()

    def _tell(self, error: Exception) -> None:
        """Says once that the store cannot be written, until it can be written again."""
        if not self._failing:
            self._failing = True
            if isinstance(error, NewerStore):
                log.error("%s; rewards go on, and groups are counted as dropped meanwhile", error)
                return
            log.error(
                "the history cannot be written now: %s; rewards go on, and groups that do not fit "
                "into %d MiB of memory meanwhile are counted as dropped",
                *(reason_of(error), MAX_WAITING_BYTES // 2**20),
                exc_info=None if isinstance(error, DBAPIError | OSError) else error,
            )


def _sums(groups: Sequence[Recorded]) -> StepSums:
    times = [group.at for group in groups]
    return StepSums(total(group.figures for group in groups), min(times), max(times))
