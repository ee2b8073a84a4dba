"""The store of the history: SQLite in WAL mode, or PostgreSQL, through the same SQL."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, delete, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from darling_models.errors import ModelError
from darling_models.extras import require
from darling_service.history.figures import NAMES, Figures
from darling_service.history.recorded import RunKey, StepKey
from darling_service.history.tables import GROUPS, MARKS, STEPS, prepare

BUSY_S = 5.0
"""Seconds to wait for another process that writes into the same file."""
CONNECT_S = 5
"""Seconds to wait for a connection to PostgreSQL, which takes milliseconds."""
STATEMENT_MS = 10_000
"""Milliseconds that PostgreSQL may take for a statement: a write takes some, a lock any number."""
MAX_STEPS = 1_000_000
"""Steps that are kept of each API key, about 250 bytes each; the oldest are dropped."""
LASTING = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_ERROR", "SQLITE_PERM", "SQLITE_AUTH")
"""Beginnings of SQLite's names of errors that last: those of the file, its folder or its tables."""
FORM = "sqlite:////var/lib/darling/history.db or postgresql://USER:PASSWORD@HOST/DATABASE"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of the history of each API key."""

    groups: int
    """Whole groups of each step."""
    nbytes: int
    """Bytes of whole groups."""
    days: float


@dataclass(frozen=True, slots=True)
class StepSums:
    figures: Figures
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group that is kept as a whole."""

    id: str
    step: StepKey
    at: float
    body: bytes


class Store:
    """A connection pool to the store. Its methods raise `sqlalchemy.exc.DBAPIError`."""

    def __init__(self, url: str) -> None:
        """Does not connect. Raises `ModelError` if the URL names no store."""
        self._url = _url_of(url)
        self._engine = _engine_of(self._url)
        self._writing = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        self.insert = sqlite.insert if self.file is not None else postgresql.insert

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None for PostgreSQL."""
        is_file = self._url.get_backend_name() == "sqlite"
        return Path(self._url.database or "") if is_file else None

    def prepare(self) -> None:
        """Makes the tables where there are none, and tries to write. Raises `NewerStore` if they
        are those of a newer version."""
        with self._writing.begin() as connection:
            prepare(connection)
            # Fails where the tables are somebody else's, or the file can only be read.
            connection.execute(delete(GROUPS).where(GROUPS.c.id == ""))
            connection.execute(delete(STEPS).where(STEPS.c.caller != STEPS.c.caller))

    def connect(self) -> Connection:
        """A connection to read with."""
        return self._engine.connect()

    def next_step(self, run: RunKey) -> int:
        """The step after the last one of a run."""
        last = select(func.max(STEPS.c.step)).where(
            STEPS.c.caller == run.caller, STEPS.c.run == run.run
        )
        with self.connect() as connection:
            step: int | None = connection.scalar(last)
        return 0 if step is None else step + 1

    def write(
        self, steps: Mapping[StepKey, StepSums], groups: Sequence[GroupRow], per_step: int
    ) -> None:
        """Adds sums to those of their steps, and groups, of which each step keeps `per_step`: all
        of it, or nothing."""
        if not steps:
            return
        with self._writing.begin() as connection:
            connection.execute(self._adding(), [_row(*one) for one in sorted(steps.items())])
            if groups:
                rows = [_group_row(group) for group in groups]
                connection.execute(self.insert(GROUPS).on_conflict_do_nothing(), rows)
                for step in sorted({group.step for group in groups}):
                    _thin_out(connection, step, per_step)

    def mark(self, row: Mapping[str, Any]) -> None:
        """Keeps a row of `MARKS`, in place of the caller's earlier one of the pair."""
        statement = self.insert(MARKS).values(row)
        with self._writing.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=MARKS.primary_key, set_=row)
            )

    def prune(self, kept: Kept) -> None:
        """Drops what is older, or more, than is to be kept."""
        with self._writing.begin() as connection:
            oldest = time.time() - kept.days * 24 * 3600
            for table, age in ((STEPS, STEPS.c.last_at), (GROUPS, GROUPS.c.at)):
                connection.execute(delete(table).where(age < oldest))
            for caller in _callers_beyond(connection, STEPS, func.count(), MAX_STEPS):
                own = STEPS.c.caller == caller
                newest = select(STEPS.c.last_at).where(own).order_by(STEPS.c.last_at.desc())
                beyond = newest.offset(MAX_STEPS).limit(1).scalar_subquery()
                connection.execute(delete(STEPS).where(own, STEPS.c.last_at <= beyond))
            size = func.sum(GROUPS.c.nbytes)
            for caller in _callers_beyond(connection, GROUPS, size, kept.nbytes):
                own = GROUPS.c.caller == caller
                newer = size.over(order_by=(GROUPS.c.at.desc(), GROUPS.c.id)).label("newer")
                sized = select(GROUPS.c.id, newer).where(own).subquery()
                over = select(sized.c.id).where(sized.c.newer > kept.nbytes)
                connection.execute(delete(GROUPS).where(GROUPS.c.id.in_(over)))

    def close(self) -> None:
        self._engine.dispose()

    def _adding(self) -> Any:
        statement = self.insert(STEPS)
        sums = {name: STEPS.c[name] + statement.excluded[name] for name in NAMES}
        return statement.on_conflict_do_update(
            index_elements=[STEPS.c.caller, STEPS.c.run, STEPS.c.step],
            set_={**sums, "last_at": statement.excluded.last_at},
        )


def is_corrupt(error: Exception) -> bool:
    """Whether the file is damaged, or no file of SQLite at all."""
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return name.startswith("SQLITE_CORRUPT") or name == "SQLITE_NOTADB"


def is_lasting(error: DBAPIError) -> bool:
    """Whether the store cannot be used before somebody mends it. Else its disk is full, it is
    locked, or its server cannot be reached."""
    if not isinstance(error, OperationalError):
        return True
    return getattr(error.orig, "sqlite_errorname", "").startswith(LASTING)


def reason_of(error: Exception) -> str:
    """Why the store failed, in its driver's words, without the statement and its values."""
    said = str(getattr(error, "orig", None) or error)
    return " ".join(said.split()) or type(error).__name__


def set_aside(file: Path) -> Path:
    """Gives a damaged file another name, with what belongs to it; returns that name."""
    aside = stem = file.with_name(f"{file.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for number in count(2):
        if not aside.exists():
            break
        aside = stem.with_name(f"{stem.name}-{number}")
    for suffix in ("", "-wal", "-shm"):
        belonging = file.with_name(file.name + suffix)
        if belonging.exists():
            belonging.rename(aside.with_name(aside.name + suffix))
    return aside


def _url_of(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The message would repeat the URL, and with it a password.
        raise ModelError(f"history_url is no URL; write it as {FORM}") from None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite", query={})
        case "postgresql":
            require("postgres", ["psycopg"])
            return parsed.set(drivername="postgresql+psycopg")
    raise ModelError(f"history_url names no store that is supported; write it as {FORM}")


def _engine_of(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        timeouts = {
            "connect_timeout": CONNECT_S,
            "options": f"-c statement_timeout={STATEMENT_MS}",
        }
        return create_engine(url, connect_args=timeouts, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _begin_explicitly)
    event.listen(engine, "begin", _begin)
    return engine


def _begin_explicitly(connection: Any, _: object) -> None:
    """The driver is not to begin transactions by itself: it would not lock the file at once."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _callers_beyond(connection: Connection, table: Table, size: Any, most: int) -> list[str]:
    """The callers that have more in a table than is to be kept."""
    sizes = select(table.c.caller).group_by(table.c.caller).having(size > most)
    return list(connection.scalars(sizes))


def _row(step: StepKey, sums: StepSums) -> dict[str, Any]:
    figures = {name: getattr(sums.figures, name) for name in NAMES}
    (caller, run), number = step
    times = {"first_at": sums.first_at, "last_at": sums.last_at}
    return {"caller": caller, "run": run, "step": number, **times, **figures}


def _group_row(group: GroupRow) -> dict[str, Any]:
    (caller, run), step = group.step
    own = {"id": group.id, "caller": caller, "run": run, "step": step, "at": group.at}
    return {**own, "nbytes": len(group.body), "body": group.body}


def _thin_out(connection: Connection, step: StepKey, per_step: int) -> None:
    """Keeps the groups of a step whose ids are the smallest: a sample in which each group has the
    same chance, whatever the order in which groups came (bottom-k sampling)."""
    (caller, run), number = step
    own = (GROUPS.c.caller == caller, GROUPS.c.run == run, GROUPS.c.step == number)
    smallest = select(GROUPS.c.id).where(*own).order_by(GROUPS.c.id).limit(per_step)
    connection.execute(delete(GROUPS).where(*own, GROUPS.c.id.not_in(smallest)))
