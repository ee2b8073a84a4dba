"""slime and miles: a group reward for `--group-rm --custom-rm-path my_rewards.darling`.

my_rewards.py:

    from darling_client.trainers.slime import group_reward

    darling = group_reward(quality)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient
from darling_client._grouping import Grouping
from darling_client.trainers._batch import Batch, Row
from darling_client.trainers._quality import qualities_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client._calls import RewardParams

GroupReward = Callable[[Any, Sequence[Any]], Coroutine[Any, Any, list[Any]]]


def group_reward(
    quality: Callable[[Any], float | Awaitable[float | None] | None],
    *,
    client: AsyncClient | None = None,
    **params: Unpack[RewardParams],
) -> GroupReward:
    """Returns a function for `--custom-rm-path` with `--group-rm`, which rewards a group.

    It returns quality shaped by diversity for each sample, or with `--reward-key K` a dict with the
    reward under K, and sets `metadata["darling"]` to quality, diversity and the number of classes.
    slime cannot express "no signal", so it raises `DarlingError` when there is no answer within
    `patience_s`, and `ValueError` when a sample has no finite quality.

    `quality(sample)` returns a number, or an awaitable of one. `client`: by default one for the
    environment's `DARLING_URL`. `params`: options of the request, as for `Client.rewards`.
    """
    client = client or AsyncClient()

    async def darling(args: Any, samples: Sequence[Any]) -> list[Any]:
        qualities = await qualities_of([(sample,) for sample in samples], quality)
        rows = [
            Row(sample.prompt, sample.response, value)
            for sample, value in zip(samples, qualities, strict=True)
        ]
        batch = Batch(rows, Grouping([list(range(len(rows)))]))
        scores = batch.scores(await client.rewards(batch.groups, **params))
        key = getattr(args, "reward_key", None)
        rewards: list[Any] = []
        for sample, score in zip(samples, scores, strict=True):
            if score is None:
                raise ValueError("quality returned None, NaN or infinity; return a finite number")
            parts = {
                "quality": score.quality,
                "diversity": score.diversity,
                "num_classes": score.num_classes,
            }
            sample.metadata = {**(sample.metadata or {}), "darling": parts}
            rewards.append({**parts, key: score.reward} if key else score.reward)
        return rewards

    return darling
