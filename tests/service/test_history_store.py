"""The store of the history: the same in SQLite and PostgreSQL, whatever befalls it."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from darling_models.errors import ModelError
from darling_service.history import reading, recorder, store, tables
from darling_service.history.figures import figures_of
from darling_service.history.recorded import Recorded, RunKey, StepKey
from darling_service.history.recorder import Recorder
from darling_service.history.sample import Sample
from darling_service.history.store import GroupRow, Kept, StepSums, Store
from darling_service.history.tables import NewerStore
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry
from tests.conftest import until
from tests.servers import postgres

RUN = RunKey("alice", "exp")
FIGURES = figures_of([0, 0, 1], [1.0, 0.5, 0.0], [1.0, -0.5, 0.0])
KEEP_ALL = Kept(groups=4, nbytes=2**40, days=100_000)
SUMS = StepSums(FIGURES, 10.0, 20.0)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    if postgres.program("initdb") is None:
        pytest.skip("PostgreSQL is not installed; apt-get install postgresql brings it")
    with postgres.running() as url:
        until(lambda: accepts(url))
        yield url


def accepts(url: str) -> bool:
    starting = Store(url)
    try:
        starting.connect().close()
    except OperationalError:
        return False
    finally:
        starting.close()
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store without tables."""
    if request.param == "sqlite":
        kept = Store(f"sqlite:///{tmp_path}/history.db")
    else:
        kept = Store(request.getfixturevalue("server"))
        with kept.connect() as connection:
            tables.TABLES.drop_all(connection)
            connection.commit()
    yield kept
    kept.close()


@pytest.fixture
def ready(empty: Store) -> Store:
    empty.prepare()
    return empty


def row(number: int, step: int = 3, caller: str = "alice", at: float = 1.0) -> GroupRow:
    return GroupRow(f"{number:03}", StepKey(RunKey(caller, "exp"), step), at, b'{"a":1}')


def kept_ids(ready: Store, run: RunKey = RUN) -> list[str]:
    return [one["id"] for one in reading.groups(ready, run, None, 1000)]


def test_sums_of_a_step_add_up_over_writes(ready: Store) -> None:
    step = StepKey(RUN, 3)
    ready.write({step: SUMS}, [], 4)
    ready.write({step: StepSums(FIGURES, 15.0, 30.0)}, [], 4)
    ready.write({StepKey(RUN, 4): SUMS, StepKey(RunKey("bob", "exp"), 1): SUMS}, [], 4)
    columns = reading.steps(ready, RUN)
    assert columns is not None
    assert columns["steps"] == [3, 4]
    assert columns["series"]["groups"] == [2, 1]
    assert columns["series"]["quality"] == pytest.approx([0.5, 0.5])
    assert columns["series"]["quality_distinct"] == pytest.approx([0, 0])
    assert columns["series"]["quality_duplicated"] == pytest.approx([0.75, 0.75])
    assert columns["series"]["reward"] == pytest.approx([1 / 6, 1 / 6])
    (run,) = reading.runs(ready, "alice")
    assert (run["groups"], run["first_at"], run["last_at"]) == (3, 10.0, 30.0)
    assert ready.next_step(RUN) == 5
    assert reading.steps(ready, RunKey("alice", "other")) is None


@pytest.mark.parametrize("points", [1, 3, 7, 10, 50])
def test_neighbouring_steps_are_averaged_by_groups(ready: Store, points: int) -> None:
    other = figures_of([0, 0, 0])
    ready.write(
        {StepKey(RUN, 2 * i): StepSums(FIGURES if i % 2 else other, 1.0, 2.0) for i in range(10)},
        *([], 4),
    )
    columns = reading.steps(ready, RUN, points=points)
    assert columns is not None
    assert len(columns["steps"]) <= points
    assert columns["steps"] == sorted(columns["steps"])
    assert columns["steps"][-1] == 18
    assert columns["series"]["groups"] == [1] * len(columns["steps"])
    if points == 1:
        assert columns["series"]["classes"] == [1.5]
        assert columns["series"]["quality"] == [pytest.approx(0.5)]


def test_a_step_keeps_the_groups_with_the_smallest_ids(ready: Store) -> None:
    step = StepKey(RUN, 3)
    ready.write({step: SUMS}, [row(5), row(9), row(2)], 2)
    ready.write({step: SUMS}, [row(1), row(7), row(9, step=4)], 2)
    ready.write({step: SUMS}, [row(1)], 2)
    assert kept_ids(ready) == ["009", "001", "002"]
    assert reading.group(ready, "alice", "001") == {
        **{"id": "001", "run": "exp", "step": 3, "at": 1.0, "a": 1},
    }
    assert reading.group(ready, "bob", "001") is None
    assert reading.group(ready, "alice", "001\0") is None


def test_prompts_that_came_again_are_listed_by_their_steps(
    ready: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"prompt":"p"}'

    def kept(prompt: str, step: int, caller: str = "alice") -> GroupRow:
        run = RunKey(caller, "exp")
        return GroupRow(f"{prompt * 16}{step:016}", StepKey(run, step), 1.0, body)

    rows = [kept(*one) for one in [("a", 1), ("a", 5), ("b", 2), ("b", 3), ("b", 9), ("c", 4)]]
    rows.append(kept("d", 4, "bob"))
    rows.append(kept("d", 6, "bob"))
    ready.write({group.step: SUMS for group in rows}, rows, 4)
    assert reading.prompts(ready, RUN, 10) == [
        {"prompt": "p", "prompt_id": "b" * 16, "steps": 3, "first_step": 2, "last_step": 9},
        {"prompt": "p", "prompt_id": "a" * 16, "steps": 2, "first_step": 1, "last_step": 5},
    ]
    assert len(reading.prompts(ready, RUN, 1)) == 1
    assert [one["step"] for one in reading.of_prompt(ready, RUN, None, "b" * 16, 2)] == [2, 9]
    assert reading.of_prompt(ready, RUN, None, "d" * 16, 2) == []
    monkeypatch.setattr(reading, "MAX_BYTES", 2 * len(body))
    assert [one["step"] for one in reading.of_prompt(ready, RUN, None, "b" * 16, 3)] == [2]


def test_one_answer_holds_no_more_bytes_than_memory_has_room_for(
    ready: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(1, step=4), row(2, step=3), row(3, step=2)]
    ready.write({group.step: SUMS for group in rows}, rows, 4)
    for room, ids in ((0, ["001"]), (16, ["001", "002"]), (24, ["001", "002", "003"])):
        monkeypatch.setattr(reading, "MAX_BYTES", room * len(rows[0].body) // 8)
        assert kept_ids(ready) == ids


@given(st.lists(st.integers(0, 99).map(str), max_size=30), st.integers(1, 5))
def test_the_sample_drops_no_group_that_the_store_would_keep(ids: list[str], size: int) -> None:
    sample, step = Sample(size), StepKey(RUN, 0)
    drawn = {one for one in ids if sample.draws(step, one)}
    assert set(sorted(set(ids))[:size]) <= drawn


def test_what_is_old_or_too_much_goes(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now, day = time.time(), 86_400
    for i in range(6):
        at = now - (10 - i) * day
        sums = StepSums(FIGURES, at, at)
        others = {StepKey(RunKey("bob", "exp"), i): sums} if i < 2 else {}
        groups = [row(i, step=i, at=at)]
        ready.write({StepKey(RUN, i): sums, **others}, groups, 4)
    ready.prune(KEEP_ALL)
    assert len(kept_ids(ready)) == 6
    ready.prune(Kept(4, nbytes=3 * len(b'{"a":1}'), days=100))
    assert kept_ids(ready) == ["005", "004", "003"]
    monkeypatch.setattr(store, "MAX_STEPS", 4)
    ready.prune(KEEP_ALL)
    assert (reading.steps(ready, RUN) or {})["steps"] == [2, 3, 4, 5]
    assert (reading.steps(ready, RunKey("bob", "exp")) or {})["steps"] == [0, 1]
    ready.prune(Kept(4, nbytes=2**40, days=7.5))
    assert (reading.steps(ready, RUN) or {})["steps"] == [3, 4, 5]


def test_an_earlier_version_is_migrated_and_a_newer_one_refused(
    ready: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.write({StepKey(RUN, 1): SUMS}, [row(1)], 4)
    monkeypatch.setattr(tables, "VERSION", 3)
    steps = {
        1: ["ALTER TABLE history_groups ADD COLUMN note TEXT NOT NULL DEFAULT 'none'"],
        2: ["UPDATE history_groups SET note = 'some'"],
    }
    monkeypatch.setattr(tables, "MIGRATIONS", steps)
    ready.prepare()
    ready.prepare()
    with ready.connect() as connection:
        assert connection.exec_driver_sql("SELECT note FROM history_groups").scalar() == "some"
    monkeypatch.undo()
    with pytest.raises(NewerStore, match="version 3, and this service writes version 1"):
        ready.prepare()


def test_rewards_go_on_beside_the_store_of_a_newer_version(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a rollback: it is left as it is, with one line, until it can be written."""
    url = f"sqlite:///{tmp_path}/history.db"
    newer = Store(url)
    newer.prepare()
    with newer.connect() as connection:
        connection.execute(update(tables.SCHEMA).values(version=9))
        connection.commit()
    telemetry = Telemetry()
    writing = Recorder(Settings(history_url=url), telemetry)
    writing.start()
    for number in (1, 2):
        writing.record([recorded(number)])
        until(lambda: count(telemetry, "dropped") == number)  # noqa: B023 (called at once)
    (line,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "version 9, and this service writes version 1; upgrade" in line.getMessage()
    assert line.exc_info is None
    assert reading.steps(newer, RUN) is None
    with newer.connect() as connection:
        connection.execute(update(tables.SCHEMA).values(version=tables.VERSION))
        connection.commit()

    def is_recorded() -> bool:
        writing.record([recorded(7)])
        return count(telemetry, "recorded") > 0

    until(is_recorded)
    writing.stop()
    assert (reading.steps(newer, RUN) or {})["steps"] == [7]
    newer.close()


def test_texts_and_names_may_hold_anything(ready: Store) -> None:
    run = RunKey.of("", 'a\0b\n"\U0001f600')
    ready.write({StepKey(run, 2**63 - 1): SUMS}, [], 4)
    assert reading.steps(ready, run, after=2**63 - 2) is not None
    assert [one["run"] for one in reading.runs(ready, "")] == [run.run]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("history.db", "no URL"),
        ("sqlite://", "no store that is supported"),
        ("sqlite:///:memory:", "no store that is supported"),
        ("mysql://root:s3cret@host/x", "no store that is supported"),
        ("s3cret:", "no URL"),
        ("sqlite:////no/such/folder/history.db", "folder that this user may write to"),
    ],
)
def test_a_store_that_cannot_be_used_ends_the_start(url: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as stop:
        Recorder(Settings(history_url=url), Telemetry()).start()
    assert "s3cret" not in str(stop.value)


def test_the_file_of_another_program_ends_the_start(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE history_steps (caller TEXT)")
    with pytest.raises(ModelError, match="an empty database"):
        Recorder(Settings(history_url=f"sqlite:///{tmp_path}/other.db"), Telemetry()).start()


def recorded(step: int | None = None, run: RunKey = RUN, at: float = 1.8e9) -> Recorded:
    return Recorded(run, step, at, FIGURES, None)


def count(telemetry: Telemetry, outcome: str) -> float:
    labels = {"outcome": outcome}
    return telemetry.registry.get_sample_value("darling_history_groups_total", labels) or 0.0


def steps_in(file: Path) -> list[int]:
    kept = Store(f"sqlite:///{file}")
    try:
        steps: list[int] = (reading.steps(kept, RUN) or {"steps": []})["steps"]
        return steps
    finally:
        kept.close()


@pytest.mark.parametrize("damage", ["no database", "a page in the middle"])
def test_a_damaged_file_is_set_aside_with_one_line(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "history.db"
    url = f"sqlite:///{file}"
    if damage == "no database":
        file.write_bytes(b"this is no database" * 500)
    else:
        before = Store(url)
        before.prepare()
        before.write({StepKey(RUN, i): SUMS for i in range(2000)}, [], 4)
        before.close()
        content = bytearray(file.read_bytes())
        content[4096:-4096] = b"\xff" * (len(content) - 8192)
        file.write_bytes(content)
    writing = Recorder(Settings(history_url=url), Telemetry())
    writing.start()
    writing.record([recorded(7)])
    writing.stop()
    (line,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "is damaged" in line.getMessage()
    assert steps_in(file) == [7]
    (aside,) = tmp_path.glob("history.db.damaged-*")
    assert aside.stat().st_size > 4096
    assert str(aside) in line.getMessage()


def test_a_file_that_is_removed_is_begun_anew(tmp_path: Path) -> None:
    file, telemetry = tmp_path / "history.db", Telemetry()
    writing = Recorder(Settings(history_url=f"sqlite:///{file}"), telemetry)
    writing.start()
    for number in (1, 2):
        writing.record([recorded()])
        until(lambda: count(telemetry, "recorded") == number)  # noqa: B023 (called at once)
        assert steps_in(file) == [0]
        for one in tmp_path.iterdir():
            one.unlink()
    writing.stop()


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_WAITING_BYTES", 10 * recorded().nbytes)
    telemetry = Telemetry()
    writing = Recorder(Settings(history_url=f"sqlite:///{tmp_path}/history.db"), telemetry)
    writing.record([recorded() for _ in range(25)])
    assert count(telemetry, "dropped") == 15
    writing.start()
    until(lambda: count(telemetry, "recorded") == 10)
    writing.record([recorded() for _ in range(25)])
    writing.stop()
    assert count(telemetry, "dropped") == 30
    assert steps_in(tmp_path / "history.db") == list(range(20))


def test_what_could_not_be_pruned_is_not_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(store: Store, kept: Kept) -> None:
        raise OperationalError("", {}, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr(Store, "prune", fail)
    monkeypatch.setattr(recorder, "PRUNE_S", 0)
    telemetry = Telemetry()
    writing = Recorder(Settings(history_url=f"sqlite:///{tmp_path}/history.db"), telemetry)
    writing.start()
    writing.record([recorded(1)])
    until(lambda: count(telemetry, "recorded") == 1)
    writing.stop()
    kept = Store(f"sqlite:///{tmp_path}/history.db")
    assert (reading.steps(kept, RUN) or {})["series"]["groups"] == [1]
    kept.close()
    assert "could not be pruned: database is locked" in caplog.text


def test_a_file_whose_damage_only_pruning_meets_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else it would grow without end. What is damaged is the index by which steps are pruned."""
    file, telemetry = tmp_path / "history.db", Telemetry()
    url = f"sqlite:///{file}"
    before = Store(url)
    before.prepare()
    before.write({StepKey(RUN, i): SUMS for i in range(2000)}, [], 4)
    before.close()
    damage_index(file, "history_steps_by_age")
    monkeypatch.setattr(recorder, "PRUNE_S", 0)
    writing = Recorder(Settings(history_url=url, history_days=1), telemetry)
    writing.start()
    until(lambda: bool(list(tmp_path.glob("history.db.damaged-*"))))
    writing.record([recorded(7, at=time.time())])
    writing.stop()
    assert caplog.text.count("is damaged") == 1
    assert steps_in(file) == [7]


def test_files_that_are_set_aside_at_once_keep_names_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    asides = set()
    for content in ("a", "b", "c"):
        file.write_text(content)
        asides.add(store.set_aside(file))
    assert sorted(aside.read_text() for aside in asides) == ["a", "b", "c"]


def damage_index(file: Path, name: str) -> None:
    """Overwrites the root page of an index."""
    with sqlite3.connect(file) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", [name]
        ).fetchone()
    connection.close()
    content = bytearray(file.read_bytes())
    content[(root - 1) * size : root * size] = b"\xff" * size
    file.write_bytes(content)


def test_a_store_that_loses_its_tables_is_made_again(tmp_path: Path) -> None:
    file, telemetry = tmp_path / "history.db", Telemetry()
    writing = Recorder(Settings(history_url=f"sqlite:///{file}"), telemetry)
    writing.start()
    with sqlite3.connect(file) as other:
        other.execute("DROP TABLE history_steps")
        other.execute("DROP TABLE history_schema")
    other.close()
    writing.record([recorded(3)])
    until(lambda: count(telemetry, "recorded") == 1)
    writing.stop()
    assert steps_in(file) == [3]
