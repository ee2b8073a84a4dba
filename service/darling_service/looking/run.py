"""What a report shows of a run: its curve and a sample of its groups.

A run comes from the history's store. The groups of a file are put into a store of their own first,
so that both are read in the same way.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from darling_models.keys import content_key
from darling_service.history import reading
from darling_service.history.figures import Figures, figures_of, total
from darling_service.history.recorded import DECIMALS, RunKey, StepKey
from darling_service.history.store import GroupRow, StepSums, Store, reason_of
from darling_service.history.tables import GROUPS
from darling_service.looking.file import Line, classified, read_lines
from darling_service.looking.group import ShownGroup
from darling_service.settings import Settings

MAX_POINTS = 2000
"""Points of the curves: about one for each pixel of a wide screen, and 300 KB of the page."""


@dataclass(frozen=True, slots=True)
class ReportedRun:
    name: str
    curve: Mapping[str, Any]
    """`steps`, and `series` by name, as `/v1/history/steps` returns them."""
    groups: Sequence[Mapping[str, Any]]
    """As `/v1/history/groups` returns them, in the order of their steps."""


def recorded_run(settings: Settings, name: str, count: int) -> ReportedRun:
    """A run of the history, with up to `count` of its groups, spread over its steps.

    `name` may begin with the name of an API key and a slash, as the run metrics write it. Raises
    `ValueError` if there is no such run, and `ModelError` if `history_url` names no store.
    """
    if settings.history_url is None:
        raise ValueError(
            f"there is no file {name}; for a run of the service, name the store of its history "
            "with --history-url (DARLING_HISTORY_URL)"
        )
    store = Store(settings.history_url)
    if store.file is not None and not store.file.exists():
        raise ValueError(f"history_url: there is no file {store.file}; name the service's own")
    keys = [RunKey.of("", name)]
    if "/" in name:
        keys.append(RunKey.of(*name.split("/", 1)))
    try:
        for key in keys:
            if (run := _run(store, key, count)) is not None:
                return run
    except DBAPIError as error:
        raise ValueError(f"history_url: the history cannot be read: {reason_of(error)}") from None
    finally:
        store.close()
    raise ValueError(
        f"there is no file {name}, and the history holds no run of that name; GET /v1/history/runs "
        "lists its runs"
    )


def run_of_file(path: Path, settings: Settings, count: int, *, repartition: bool) -> ReportedRun:
    """The groups of a file as a run, a step for each line unless the lines say their `step`.

    Raises what `read_lines` and `classified` raise.
    """
    lines = read_lines(path, settings.text)
    groups = classified(path, lines, settings, repartition=repartition)
    key = RunKey.of("", Path(path.name.removesuffix(".gz")).stem)
    with TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'history.db'}")
        store.prepare()
        _put(store, key, lines, groups)
        run = _run(store, key, count)
        store.close()
    assert run is not None, "a file has a group at least"
    return run


def _run(store: Store, key: RunKey, count: int) -> ReportedRun | None:
    curve = reading.steps(store, key, points=MAX_POINTS)
    if curve is None:
        return None
    return ReportedRun(key.run, curve, _sample(store, key, count))


def _sample(store: Store, key: RunKey, count: int) -> list[dict[str, Any]]:
    """Up to `count` groups, from steps as evenly spread as there are groups."""
    own = (GROUPS.c.caller == key.caller, GROUPS.c.run == key.run)
    with store.connect() as connection:
        wanted = select(GROUPS.c.id).where(*own).order_by(GROUPS.c.step, GROUPS.c.id)
        ids = connection.scalars(wanted).all()
    places = reading.spread(len(ids), count)
    groups = (reading.group(store, key.caller, ids[place]) for place in places)
    return [group for group in groups if group is not None]


def _put(store: Store, key: RunKey, lines: Sequence[Line], groups: Sequence[ShownGroup]) -> None:
    sums = defaultdict[StepKey, list[ShownGroup]](list)
    rows = []
    for line, group in zip(lines, groups, strict=True):
        step = StepKey(key, line.number - 1 if line.step is None else line.step)
        sums[step].append(group)
        name = content_key(str(line.number)).hex()
        rows.append(GroupRow(name, step, 0.0, orjson.dumps(_recorded(group))))
    steps = {
        step: StepSums(total(map(_figures, members)), 0.0, 0.0) for step, members in sums.items()
    }
    store.write(steps, rows, per_step=len(rows))


def _figures(group: ShownGroup) -> Figures:
    return figures_of(
        [rollout.number for rollout in group.rollouts],
        _known([rollout.quality for rollout in group.rollouts]),
        _known([rollout.reward for rollout in group.rollouts]),
    )


def _known(values: Sequence[float | None]) -> list[float] | None:
    """The values; None where none is known. A group has all of them or none."""
    return [value for value in values if value is not None] or None


def _recorded(group: ShownGroup) -> dict[str, Any]:
    """The group as the history keeps it."""
    matrix = group.probabilities
    return {
        "prompt": group.prompt,
        "model": group.model,
        "threshold": group.threshold,
        "group_id": group.name,
        "rollouts": [
            {
                "text": rollout.text,
                "class": rollout.number,
                "diversity": rollout.diversity,
                "quality": rollout.quality,
                "reward": rollout.reward,
                "advantage": None,
            }
            for rollout in group.rollouts
        ],
        "probabilities": None if matrix is None else np.round(matrix, DECIMALS).tolist(),
    }
