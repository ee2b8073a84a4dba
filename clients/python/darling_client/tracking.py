"""Figures of rewards for the logger of a training loop of your own, such as `wandb.log`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from darling_client._errors import Unavailable
from darling_client._types import GroupRewards, RolloutReward


def figures(results: Sequence[GroupRewards | RolloutReward | Unavailable]) -> dict[str, float]:
    """The figures of one step, by the names under which adapters log them.

    `results`: what `rewards`, `try_rewards` or calls of `rollout` returned. `darling/quality`,
    `darling/reward`, `darling/diversity` and `darling/num_classes`, the number of classes in its
    group, are means over the rollouts. `darling/collapsed` is the share of rollouts whose group has
    two or more, all of one class; `darling/partial` that of rollouts whose group lacked siblings.
    `darling/unanswered` is the share of results that are `Unavailable`.
    """
    rows = [row for result in results for row in _rows(result)]
    missing = sum(isinstance(result, Unavailable) for result in results)
    logged = {**means(rows), "unanswered": missing / len(results) if results else 0.0}
    return named(logged)


def named(values: Mapping[str, float]) -> dict[str, float]:
    """The values by the names under which they are logged, which begin with `darling/`."""
    return {f"darling/{name}": value for name, value in values.items()}


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each name over the rows that have it."""
    names = dict.fromkeys(chain.from_iterable(rows))
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(column) / len(column) for name, column in columns.items()}


def _rows(result: GroupRewards | RolloutReward | Unavailable) -> Iterable[dict[str, float]]:
    """What is logged of each rollout of a result."""
    if isinstance(result, Unavailable):
        return
    if isinstance(result, RolloutReward):
        size, partial = result.group_size, not result.group_complete
        columns = [(result.quality, result.reward, result.diversity)]
    else:
        size, partial = len(result.rewards), False
        quality = [None] * size if result.quality is None else result.quality
        columns = list(zip(quality, result.rewards, result.diversity, strict=True))
    for own_quality, reward, diversity in columns:
        yield {
            **({} if own_quality is None else {"quality": own_quality}),
            "reward": reward,
            "diversity": diversity,
            "num_classes": result.num_classes,
            "collapsed": float(result.num_classes == 1 < size),
            "partial": float(partial),
        }
