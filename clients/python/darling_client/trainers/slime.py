"""slime (and miles): `--group-rm --custom-rm-path my_rewards.darling`, where my_rewards.py says

from darling_client.trainers.slime import group_reward

darling = group_reward(quality)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient
from darling_client._grouping import Grouping
from darling_client.trainers._batch import Batch, Row
from darling_client.trainers._quality import quality_of

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
    """A function for `--custom-rm-path` with `--group-rm`: quality times diversity.

    `quality(sample)`: a number, or something to await. Samples get `metadata["darling"]`, with
    quality, diversity and the number of classes. With `--reward-key K` the rewards are objects that
    have the reward under K. Raises `DarlingError` when there is no answer within `patience_s`, and
    `ValueError` when a sample has no quality: slime has no way to say "no signal".
    """
    client = client or AsyncClient()

    async def darling(args: Any, samples: Sequence[Any]) -> list[Any]:
        judged = await quality_of(quality, [(sample,) for sample in samples])
        rows = [
            Row(sample.prompt, sample.response, value)
            for sample, value in zip(samples, judged, strict=True)
        ]
        batch = Batch(rows, Grouping([list(range(len(rows)))]))
        scores = batch.scores(await client.rewards(batch.groups, **params))
        key = getattr(args, "reward_key", None)
        rewards: list[Any] = []
        for sample, score in zip(samples, scores, strict=True):
            if score is None:
                raise ValueError("quality returned None or no finite number; give one")
            parts = {
                "quality": score.quality,
                "diversity": score.diversity,
                "num_classes": score.num_classes,
            }
            sample.metadata = {**(sample.metadata or {}), "darling": parts}
            rewards.append({**parts, key: score.reward} if key else score.reward)
        return rewards

    return darling
