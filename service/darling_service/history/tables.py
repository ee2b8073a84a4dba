"""The tables of the history, and how a store of an earlier version becomes one of this version."""

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from darling_service.history.figures import INTEGERS, NAMES

VERSION = 1
"""Version of the tables below."""
MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""The SQL that makes a store of version n one of version n + 1, for SQLite and PostgreSQL alike."""

TABLES = MetaData()

STEPS = Table(
    "history_steps",
    TABLES,
    Column("caller", Text, primary_key=True),
    Column("run", Text, primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    *(Column(name, BigInteger if name in INTEGERS else Double, nullable=False) for name in NAMES),
    Index("history_steps_by_age", "caller", "last_at"),
    sqlite_with_rowid=False,
)
"""The sums of each step; times are in seconds since the epoch."""

GROUPS = Table(
    "history_groups",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("caller", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("nbytes", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("history_groups_by_step", "caller", "run", "step"),
    Index("history_groups_by_age", "caller", "at", "nbytes"),
)
"""The groups that are kept as a whole. JSON in bytes, since texts of PostgreSQL hold no NUL."""

MARKS = Table(
    "history_marks",
    TABLES,
    Column("caller", Text, primary_key=True),
    Column("pair", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("same", Integer),
    Column("body", LargeBinary, nullable=False),
)
"""What people say of pairs: 1 where they are the same, 0 where they differ, and null where nobody
can tell. Pairs, prompts and questions stand there as keys of their content; the body is a labelled
pair in JSON. Marks are never dropped: they are a person's work."""

SCHEMA = Table(
    "history_schema",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
"""One row, whose id is 1."""

LOCK = 0x64_61_72_6C
"""Number of the lock under which replicas that share a PostgreSQL make its tables one by one."""


class NewerStore(Exception):
    """A newer version of the service has made the tables, as before a rollback."""


def prepare(connection: Connection) -> None:
    """Makes the tables, or migrates those of an earlier version, within the connection's
    transaction. Raises `NewerStore`."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    connection.execute(CreateTable(SCHEMA, if_not_exists=True))
    version = connection.scalar(select(SCHEMA.c.version))
    if version is None:
        _make(connection)
        return
    if version > VERSION:
        raise NewerStore(
            f"history_url holds a history of version {version}, and this service writes version "
            f"{VERSION}; upgrade the service, or name another store"
        )
    for older in range(version, VERSION):
        for statement in MIGRATIONS[older]:
            connection.execute(text(statement))
    if version < VERSION:
        connection.execute(update(SCHEMA).values(version=VERSION))


def _make(connection: Connection) -> None:
    for table in (STEPS, GROUPS, MARKS):
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(CreateIndex(index, if_not_exists=True))
    connection.execute(insert(SCHEMA).values(id=1, version=VERSION))
