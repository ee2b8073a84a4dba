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

import numpy as np

from darling_models.errors import ModelError
from darling_models.keys import content_key
from darling_models.protocol import IntArray
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
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL, prompt BLOB NOT NULL, step INTEGER NOT NULL, member BLOB NOT NULL,
    answer BLOB NOT NULL, times INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_prompt ON visits (run, prompt, step, member);
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


class Visits:
    """Counts by (run, prompt, answer), in a file or in memory."""

    def __init__(self, file: Path | None, max_counts: int) -> None:
        """Keeps the newest `max_counts` counts. Raises `ModelError` if the file cannot be used."""
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

        Raises `Unavailable` while the file cannot be written.
        """
        try:
            self._raise_while_resting()
            async with asyncio.timeout(MAX_WRITE_S):
                return await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._count, run, step, groups
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

    def _count(self, run: str, step: int, groups: Sequence[Visit]) -> list[IntArray]:
        self._raise_while_resting()  # another may have failed while this one was waiting
        try:
            with self._store as store:
                visits = [self._visit(store, run, step, group) for group in groups]
                newest = store.execute("SELECT max(number) FROM visits").fetchone()[0]
                store.execute("DELETE FROM visits WHERE number <= ?", (newest - self._max_counts,))
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
    def _visit(store: sqlite3.Connection, run: str, step: int, group: Visit) -> IntArray:
        prompt = content_key(group.prompt)
        before: dict[bytes, int] = dict(
            store.execute(
                "SELECT answer, sum(times) FROM visits WHERE run = ? AND prompt = ? AND step < ? "
                "GROUP BY answer",
                (run, prompt, step),
            ).fetchall()
        )
        keys = [content_key(answer) for answer in group.answers]
        own = (run, prompt, step, group.member)
        store.execute(
            "DELETE FROM visits WHERE run = ? AND prompt = ? AND step = ? AND member = ?", own
        )
        store.executemany(
            "INSERT INTO visits (run, prompt, step, member, answer, times) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(*own, key, times) for key, times in Counter(keys).items()],
        )
        return np.asarray([before.get(key, 0) for key in keys], dtype=np.int64)


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(
        f"visits_file cannot be written now: {reason}; send the request again later",
        retry_after_s=RETRY_AFTER_S,
    )
