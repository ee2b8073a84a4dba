"""Figures over the rollouts of a NeMo-Gym run, as its `/aggregate_metrics` expects them.

The names are those of its `RewardProfiler`: `mean/reward`, `std/reward` and so on.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

TASK = "_ng_task_index"
IDS = frozenset({TASK, "_ng_rollout_index", "_ng_group_attempt", "mask_sample"})
"""Numbers that count or mark a rollout, of which a mean means nothing."""
Rows = Sequence[Mapping[str, Any]]


class VerifyResponses(BaseModel):
    verify_responses: list[dict[str, Any]] = Field(
        description="What /verify answered, without the response but for its `usage`."
    )


def figures_of(responses: Rows) -> str:
    """The figures that `aggregate` gives as JSON, written task by task: writing all at once would
    hold the interpreter's lock."""
    figures = aggregate(responses)
    tasks = ", ".join(json.dumps(task) for task in figures.pop("group_level_metrics"))
    return f'{{"group_level_metrics": [{tasks}], {json.dumps(figures).removeprefix("{")}'


def aggregate(responses: Rows) -> dict[str, Any]:
    """The figures of each task (`group_level_metrics`), of all rollouts (`agent_metrics`), and the
    means among the latter (`key_metrics`).

    Rollouts with `mask_sample` are counted and otherwise left out.
    """
    tasks: dict[int | str, list[Mapping[str, Any]]] = {}
    for row in responses:
        task = row.get(TASK, 0)
        name = task if isinstance(task, int | str) else json.dumps(task)
        tasks.setdefault(name, []).append(row)
    overall = _figures(responses)
    return {
        "group_level_metrics": [{**_figures(rows), TASK: task} for task, rows in tasks.items()],
        "agent_metrics": overall,
        "key_metrics": {name: value for name, value in overall.items() if name.startswith("mean/")},
    }


def _figures(rows: Rows) -> dict[str, Any]:
    """Mean, maximum, minimum, median and sample deviation of each numeric field."""
    if not rows:
        return {}
    measured = [row for row in rows if row.get("mask_sample") is not True]
    columns: dict[str, list[float]] = {}
    for row in measured:
        for name, value in _numbers(row).items():
            columns.setdefault(name, []).append(value)
    figures: dict[str, Any] = {}
    for name, values in columns.items():
        column = np.asarray(values)
        figures |= {
            f"mean/{name}": float(column.mean()),
            f"max/{name}": float(column.max()),
            f"min/{name}": float(column.min()),
            f"median/{name}": float(np.median(column)),
            f"std/{name}": float(column.std(ddof=1)) if len(column) > 1 else 0.0,
        }
    return {**figures, "num_rollouts": len(rows), "num_masked": len(rows) - len(measured)}


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a rollout, and those of its response's usage."""
    response = row.get("response")
    usage = response.get("usage") if isinstance(response, Mapping) else None
    numbers: dict[str, float] = {}
    for name, value in {**row, **(usage if isinstance(usage, Mapping) else {})}.items():
        if name in IDS or not isinstance(value, bool | int | float):
            continue
        try:
            number = float(value)
        except OverflowError:
            continue
        # Beyond this, squares in the deviation would overflow.
        if math.isfinite(number) and abs(number) < 1e150:
            numbers[name] = number
    return numbers
