"""Counts of how often each answer to a prompt came over a run, for exploration by visits.

A step's rollouts are counted once, however often the request is sent again, and are told what
earlier steps saw: the same request has the same answer, even when a later step came in between.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from darling_models.errors import ModelError
from darling_models.keys import content_key
from darling_models.protocol import IntArray
from darling_service.caller import CALLER
from darling_service.errors import Unavailable

RETRY_AFTER_S = 5.0
BUSY_S = 0.1
"""Seconds to wait for another process that holds the file's lock, which a write takes 10 ms for."""
REST_S = 1.0
"""Seconds in which a file that could not be written is not tried again, so that those who wait for
it are told at once, and not one after the other."""
MAX_WRITE_S = 10.0
"""Seconds that a write may take: 512 rollouts take 10 ms, a hung network file system for ever."""

TABLE = """
CREATE TABLE IF NOT EXISTS visits (
    caller TEXT NOT NULL, number INTEGER NOT NULL,
    run TEXT NOT NULL, prompt BLOB NOT NULL, step INTEGER NOT NULL, member BLOB NOT NULL,
    answer BLOB NOT NULL, times INTEGER NOT NULL,
    PRIMARY KEY (caller, number)
);
CREATE INDEX IF NOT EXISTS by_prompt ON visits (caller, run, prompt, step, member);
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One group's answers in one step."""

    prompt: str
    id: str | int | None
    """Tells groups of one prompt in one step apart; without it their texts do."""
    texts: Sequence[str]
    answers: Sequence[str]

    @property
    def member(self) -> bytes:
        if self.id is None:
            return content_key(*sorted(self.texts))
        return content_key("id", type(self.id).__name__, str(self.id))


class VisitCounts(Protocol):
    """What tells how often answers came before."""

    async def count(
        self, run: str, step: int, groups: Sequence[Visit]
    ) -> Sequence[IntArray | None]:
        """How often each rollout's answer came in earlier steps, (n,) for each group."""
        ...


class Visits:
    """Counts by (caller, run, prompt, answer), in a file or in memory."""

    def __init__(self, file: Path | None, max_counts: int) -> None:
        """Keeps the newest `max_counts` counts of each caller.

        Raises `ModelError` if the file cannot be used.
        """
        self._max_counts = max_counts
        self._resting_until = 0.0
        # A thread of its own: whoever does not count visits must not wait for a locked file.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="visits")
        try:
            self._store = sqlite3.connect(
                file or ":memory:", timeout=BUSY_S, check_same_thread=False
            )
            self._store.executescript(TABLE)
            self._store.execute("BEGIN IMMEDIATE")  # fails where the file can only be read
            self._store.rollback()
        except sqlite3.Error as error:
            raise ModelError(
                f"visits_file {file} cannot be written: {error}; name a file in a folder that this "
                "user may write to, and that no other process has locked"
            ) from error

    async def count(self, run: str, step: int, groups: Sequence[Visit]) -> list[IntArray]:
        """How often each rollout's answer came in earlier steps, (n,) for each group.

        The run is that of `CALLER`: another caller's of the same name is another run. Raises
        `Unavailable` while the file cannot be written.
        """
        try:
            self._raise_while_resting()
            async with asyncio.timeout(MAX_WRITE_S):
                return await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._count, CALLER.get(), run, step, groups
                )
        except TimeoutError:
            self._rest()
            raise _unavailable(f"a write takes more than {MAX_WRITE_S:g} s") from None
        except sqlite3.Error as error:
            raise _unavailable(str(error)) from None

    def close(self) -> None:
        """Closes the file once nothing is written any more; does not wait for that."""
        self._thread.submit(self._store.close)
        self._thread.shutdown(wait=False)

    def _count(self, caller: str, run: str, step: int, groups: Sequence[Visit]) -> list[IntArray]:
        self._raise_while_resting()  # another may have failed while this one was waiting
        newest_of = "SELECT coalesce(max(number), 0) FROM visits WHERE caller = ?"
        try:
            with self._store as store:
                visits = []
                for group in groups:
                    (newest,) = store.execute(newest_of, (caller,)).fetchone()
                    visits.append(self._visit(store, caller, newest, run, step, group))
                (newest,) = store.execute(newest_of, (caller,)).fetchone()
                store.execute(
                    "DELETE FROM visits WHERE caller = ? AND number <= ?",
                    (caller, newest - self._max_counts),
                )
        except sqlite3.Error:
            self._rest()
            raise
        return visits

    def _rest(self) -> None:
        self._resting_until = time.monotonic() + REST_S

    def _raise_while_resting(self) -> None:
        if time.monotonic() < self._resting_until:
            raise sqlite3.OperationalError("it could not be written a moment ago")

    @staticmethod
    def _visit(
        store: sqlite3.Connection, caller: str, newest: int, run: str, step: int, group: Visit
    ) -> IntArray:
        """`newest` is the highest number of the caller's counts."""
        prompt = content_key(group.prompt)
        before: dict[bytes, int] = dict(
            store.execute(
                "SELECT answer, sum(times) FROM visits WHERE caller = ? AND run = ? AND prompt = ? "
                "AND step < ? GROUP BY answer",
                (caller, run, prompt, step),
            ).fetchall()
        )
        keys = [content_key(answer) for answer in group.answers]
        own = (caller, run, prompt, step, group.member)
        store.execute(
            "DELETE FROM visits WHERE caller = ? AND run = ? AND prompt = ? AND step = ? "
            "AND member = ?",
            own,
        )
        store.executemany(
            "INSERT INTO visits (caller, run, prompt, step, member, number, answer, times) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (*own, number, key, times)
                for number, (key, times) in enumerate(Counter(keys).items(), start=newest + 1)
            ],
        )
        return np.asarray([before.get(key, 0) for key in keys], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Recalled:
    """Counts as a request was told them, for its audit: later ones, or those of an earlier step
    that came late, would be others."""

    visits: Sequence[IntArray | None]

    async def count(
        self, run: str, step: int, groups: Sequence[Visit]
    ) -> Sequence[IntArray | None]:
        return self.visits


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(
        f"visits_file cannot be written now: {reason}; send the request again later",
        retry_after_s=RETRY_AFTER_S,
    )
