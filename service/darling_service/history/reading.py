"""What the history says of a caller's runs, as the routes return it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from sqlalchemy import ColumnElement, Connection, RowMapping, func, literal_column, select

from darling_service.history.figures import INTEGERS, NAMES
from darling_service.history.recorded import RunKey
from darling_service.history.store import Store
from darling_service.history.tables import GROUPS, STEPS
from darling_service.schemas.history import PROMPT_CHARS

MAX_RUNS = 1000
"""Runs that one answer lists, the newest; a person reads the first ten."""
MAX_BYTES = 32 * 2**20
"""Bytes of the whole groups that one question reads, which take some five times as many in memory:
200 groups of 64 rollouts have 10 MB, and one group with the longest texts has 64 MB."""
RUN_FIELDS = (
    *("run", "first_step", "last_step", "steps", "groups", "first_at", "last_at"),
    *("diversity", "collapsed_share"),
)
prompt_id = func.substr(GROUPS.c.id, literal_column("1"), literal_column(str(PROMPT_CHARS)))
"""Which prompt a whole group has. PostgreSQL groups by no expression with parameters."""
PROMPT_FIELDS = ("prompt_id", "steps", "first_step", "last_step")
COUNTS = ("groups", "rollouts", "partial_groups")
"""The series that count, by step."""
MEANS: Mapping[str, str] = {
    "classes": "classes",
    "diversity": "diversity",
    "collapsed_share": "collapsed_groups",
    "effective_classes": "effective_classes",
    "dominant_share": "dominant_share",
    "entropy": "entropy",
}
"""The series that are means over groups, and the sums that they are made of."""
SERIES = (
    *("groups", "rollouts", "classes", "diversity", "collapsed_share", "quality", "reward"),
    *("quality_distinct", "quality_duplicated", "effective_classes", "dominant_share", "entropy"),
    "partial_groups",
)


def runs(store: Store, caller: str) -> list[dict[str, Any]]:
    """The caller's runs, the newest first, at most `MAX_RUNS`."""
    own = (
        select(
            STEPS.c.run,
            func.min(STEPS.c.step).label("first_step"),
            func.max(STEPS.c.step).label("last_step"),
            func.count().label("steps"),
            func.sum(STEPS.c.groups).label("groups"),
            func.min(STEPS.c.first_at).label("first_at"),
            func.max(STEPS.c.last_at).label("last_at"),
        )
        .where(STEPS.c.caller == caller)
        .group_by(STEPS.c.run)
        .order_by(func.max(STEPS.c.last_at).desc(), STEPS.c.run)
        .limit(MAX_RUNS)
        .subquery()
    )
    latest = (STEPS.c.run == own.c.run) & (STEPS.c.step == own.c.last_step)
    shares = (
        (STEPS.c.diversity / STEPS.c.groups).label("diversity"),
        (1.0 * STEPS.c.collapsed_groups / STEPS.c.groups).label("collapsed_share"),
    )
    listed = (
        select(own, *shares)
        .select_from(own)
        .join(STEPS, latest & (STEPS.c.caller == caller))
        .order_by(own.c.last_at.desc(), own.c.run)
    )
    with store.connect() as connection:
        rows = connection.execute(listed).mappings().all()
    # PostgreSQL adds integers up to decimal numbers.
    return [
        {**{name: row[name] for name in RUN_FIELDS}, "groups": int(row["groups"])} for row in rows
    ]


def steps(
    store: Store, run: RunKey, after: int | None = None, points: int | None = None
) -> dict[str, Any] | None:
    """The series of a run's steps that follow `after`, as columns; None where there is no run.

    Where there are more than `points` of them, neighbours are put together: means weigh every group
    alike, counts are those of a mean step, and the last of their steps stands for them.
    """
    own = (STEPS.c.caller == run.caller) & (STEPS.c.run == run.run)
    wanted = own if after is None else own & (STEPS.c.step > after)
    with store.connect() as connection:
        count = connection.scalar(select(func.count()).where(wanted)) or 0
        if count == 0 and connection.scalar(select(STEPS.c.step).where(own).limit(1)) is None:
            return None
        size = 1 if points is None else -(-count // points)
        number = (func.row_number().over(order_by=STEPS.c.step) - 1).label("number")
        sums = [STEPS.c[name] for name in NAMES]
        numbered = select(STEPS.c.step, *sums, number).where(wanted).subquery()
        merged = (
            select(
                func.max(numbered.c.step).label("step"),
                func.count().label("steps"),
                *(func.sum(numbered.c[name]).label(name) for name in NAMES),
            )
            .group_by(numbered.c.number // max(size, 1))
            .order_by(func.max(numbered.c.step))
        )
        rows = connection.execute(merged).mappings().all()
    series = [_series(row) for row in rows]
    return {
        "run": run.run,
        "steps": [row["step"] for row in rows],
        "series": {name: [one[name] for one in series] for name in SERIES},
    }


def groups(store: Store, run: RunKey, step: int | None, limit: int) -> list[dict[str, Any]]:
    """The groups of a run, or of a step of it, that are kept as a whole: the newest steps first, at
    most `limit` of them and about `MAX_BYTES`."""
    wanted = of_run(run) if step is None else of_run(run) & (GROUPS.c.step == step)
    with store.connect() as connection:
        return [_group(row) for row in newest(connection, wanted, limit)]


def prompts(store: Store, run: RunKey, limit: int) -> list[dict[str, Any]]:
    """The prompts of which groups of several steps are kept as a whole, at most `limit` of them and
    about `MAX_BYTES`: those of the most steps first."""
    steps = func.count(GROUPS.c.step.distinct()).label("steps")
    counted = (
        select(
            prompt_id.label("prompt_id"),
            steps,
            func.min(GROUPS.c.step).label("first_step"),
            func.max(GROUPS.c.step).label("last_step"),
            func.min(GROUPS.c.id).label("id"),
        )
        .where(of_run(run))
        .group_by(prompt_id)
        .having(steps > 1)
        .order_by(steps.desc(), prompt_id)
        .limit(limit)
    )
    with store.connect() as connection:
        rows = connection.execute(counted).mappings().all()
        kept = newest(connection, GROUPS.c.id.in_([row["id"] for row in rows]), limit)
        texts = {row["id"]: orjson.loads(row["body"])["prompt"] for row in kept}
    return [
        {"prompt": texts[row["id"]], **{name: row[name] for name in PROMPT_FIELDS}}
        for row in rows
        if row["id"] in texts
    ]


def of_prompt(
    store: Store, run: RunKey, step: int | None, prompt: str, limit: int
) -> list[dict[str, Any]]:
    """The groups of one prompt, or those of one step, in the order of their steps and spread over
    them: at most `limit`, and as many as `MAX_BYTES` hold, but one at least."""
    wanted = of_run(run) & (prompt_id == prompt)
    if step is not None:
        wanted &= GROUPS.c.step == step
    order = (GROUPS.c.step, GROUPS.c.id)
    with store.connect() as connection:
        sizes = connection.execute(
            select(GROUPS.c.id, GROUPS.c.nbytes).where(wanted).order_by(*order)
        ).all()
        drawn = [sizes[place] for place in spread(len(sizes), limit)]
        while len(drawn) > 1 and sum(one.nbytes for one in drawn) > MAX_BYTES:
            drawn = [drawn[place] for place in spread(len(drawn), len(drawn) // 2)]
        rows = select(GROUPS).where(GROUPS.c.id.in_([one.id for one in drawn])).order_by(*order)
        return [_group(row) for row in connection.execute(rows).mappings()]


def spread(length: int, count: int) -> list[int]:
    """Up to `count` places of a list, as evenly spread as they can be."""
    places = np.linspace(0, length - 1, min(count, length)).round().astype(int)
    return sorted(set(places.tolist()))


def of_run(run: RunKey) -> ColumnElement[bool]:
    """Whether a whole group is one of the run."""
    return (GROUPS.c.caller == run.caller) & (GROUPS.c.run == run.run)


def newest(connection: Connection, wanted: ColumnElement[bool], limit: int) -> Sequence[RowMapping]:
    """The rows of whole groups, those of the newest steps first: at most `limit`, and as many as
    `MAX_BYTES` hold, but one at least."""
    order = (GROUPS.c.step.desc(), GROUPS.c.id)
    sizes = select(GROUPS.c.id, GROUPS.c.nbytes).where(wanted).order_by(*order).limit(limit)
    ids: list[str] = []
    held = 0
    for name, nbytes in connection.execute(sizes):
        held += nbytes
        if ids and held > MAX_BYTES:
            break
        ids.append(name)
    rows = select(GROUPS).where(GROUPS.c.id.in_(ids)).order_by(*order)
    return connection.execute(rows).mappings().all()


def group(store: Store, caller: str, group_id: str) -> dict[str, Any] | None:
    """One of the caller's groups; None where there is none of the id."""
    if "\0" in group_id:  # which PostgreSQL refuses as a value
        return None
    wanted = select(GROUPS).where(GROUPS.c.caller == caller, GROUPS.c.id == group_id)
    with store.connect() as connection:
        row = connection.execute(wanted).mappings().first()
    return None if row is None else _group(row)


def _series(row: RowMapping) -> dict[str, float | None]:
    """One point of each series."""
    sums = {name: int(row[name]) if name in INTEGERS else float(row[name]) for name in NAMES}
    distinct, duplicated = sums["distinct_rollouts"], sums["duplicated_rollouts"]
    return {
        **{name: _share(sums[name], row["steps"]) for name in COUNTS},
        **{name: _share(sums[total], sums["groups"]) for name, total in MEANS.items()},
        "reward": _share(sums["reward"], sums["rewarded_rollouts"]),
        "quality": _share(
            sums["distinct_quality"] + sums["duplicated_quality"], distinct + duplicated
        ),
        "quality_distinct": _share(sums["distinct_quality"], distinct),
        "quality_duplicated": _share(sums["duplicated_quality"], duplicated),
    }


def _share(total: float, count: float) -> float | None:
    """A mean; None where nothing has been counted."""
    return total / count if count else None


def _group(row: RowMapping) -> dict[str, Any]:
    own = {name: row[name] for name in ("id", "run", "step", "at")}
    return {**own, **orjson.loads(row["body"])}
