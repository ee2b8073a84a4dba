"""Counts of how often each answer to a prompt came over a run, for exploration by visits.

A step's rollouts are counted once, however often the request is sent again, and are told what
earlier steps saw: the same request has the same answer, even when a later step came in between.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from darling_models.errors import ModelError
from darling_models.keys import content_key
from darling_models.protocol import IntArray
from darling_service.errors import Unavailable

RETRY_AFTER_S = 5.0

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
        self._lock = Lock()
        try:
            self._store = sqlite3.connect(file or ":memory:", check_same_thread=False)
            self._store.executescript(TABLE)
        except sqlite3.Error as error:
            raise ModelError(f"visits_file {file} cannot be used: {error}") from error

    async def count(self, run: str, step: int, groups: Sequence[Visit]) -> list[IntArray]:
        """How often each rollout's answer came in earlier steps, (n,) for each group.

        Raises `Unavailable` while the file cannot be written.
        """
        try:
            return await asyncio.to_thread(self._count, run, step, groups)
        except sqlite3.Error as error:
            raise Unavailable(
                f"visits_file cannot be written now: {error}", retry_after_s=RETRY_AFTER_S
            ) from error

    def close(self) -> None:
        self._store.close()

    def _count(self, run: str, step: int, groups: Sequence[Visit]) -> list[IntArray]:
        with self._lock, self._store as store:
            visits = [self._visit(store, run, step, group) for group in groups]
            newest = store.execute("SELECT max(number) FROM visits").fetchone()[0]
            store.execute("DELETE FROM visits WHERE number <= ?", (newest - self._max_counts,))
        return visits

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
