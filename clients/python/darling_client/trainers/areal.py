"""AReaL: a reward for workflows that sample all n completions of a prompt themselves.

The lines for your workflow:

    from darling_client.trainers.areal import group_reward

    reward = group_reward(quality)                     # once, in the workflow's __init__
    rewards = await reward(prompt, completions, data)  # in arun_episode, with all n completions;
                                                       # step=engine.get_version() tells the step
    if rewards is None:
        return None                                    # AReaL then rejects the trajectory
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient, Unavailable
from darling_client._outages import log
from darling_client._types import Prompt
from darling_client.trainers._batch import Row, scores_of_group
from darling_client.trainers._quality import judgements_of
from darling_client.trainers._request import Request, check_parts

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams

Reward = Callable[..., Awaitable["list[float] | None"]]


def group_reward(
    quality: Callable[..., Any],
    *,
    client: AsyncClient | None = None,
    **params: Unpack[AdapterParams],
) -> Reward:
    """Returns an async function of (prompt, completions, dataset row, step=None) that returns the
    rewards.

    They are quality shaped by diversity, one per completion; None when the service has not answered
    within `patience_s` or a completion has no finite quality. Raises any other `DarlingError`.

    `quality(prompt, completion, prompt_ids, completion_ids, **row)`: an AReaL reward function or
    its `AsyncRewardWrapper`; it gets empty lists of ids. It returns a number, or a mapping with
    fields of `Judgement`. `client`: by default one for the environment's `DARLING_URL`. `params`:
    see `AdapterParams`; `send="uncentered_advantage"` is for `reward_norm` and `adv_norm`
    without means.
    """
    check_parts(quality, client, AsyncClient)
    request = Request(params, may_be_uncentered=True)
    client = client or AsyncClient()

    async def reward(
        prompt: Prompt, completions: Sequence[str], row: Mapping[str, Any], step: int | None = None
    ) -> list[float] | None:
        rollouts: list[tuple[Any, ...]] = [(prompt, text, [], []) for text in completions]
        judged = await judgements_of(rollouts, partial(quality, **row))
        rows = [Row(prompt, text, known) for text, known in zip(completions, judged, strict=True)]
        try:
            scores = await scores_of_group(rows, client, request, step)
        except Unavailable as failure:
            log.warning("AReaL rejects a trajectory, as there is no reward for it: %s", failure)
            return None
        rewards = [score.reward for score in scores if score is not None]
        return rewards if len(rewards) == len(scores) else None

    return reward
