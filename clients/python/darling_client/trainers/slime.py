"""slime and miles: a group reward for `--group-rm --custom-rm-path my_rewards.darling`.

my_rewards.py:

    from darling_client.trainers.slime import group_reward

    darling = group_reward(quality)
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient
from darling_client.trainers._batch import Row, scores_of_group
from darling_client.trainers._quality import Judgement, judgements_of, with_logprob
from darling_client.trainers._request import Request, check_parts

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams

GroupReward = Callable[[Any, Sequence[Any]], Coroutine[Any, Any, list[Any]]]


def group_reward(
    quality: Callable[[Any], Any],
    *,
    client: AsyncClient | None = None,
    **params: Unpack[AdapterParams],
) -> GroupReward:
    """Returns a function for `--custom-rm-path` with `--group-rm`, which rewards a group.

    It returns quality shaped by diversity for each sample, or with `--reward-key K` a dict with the
    reward under K, and sets `metadata["darling"]` to quality, diversity and the number of classes.
    slime cannot express "no signal", so it raises `DarlingError` when there is no answer within
    `patience_s`, and `ValueError` when a sample has no finite quality.

    `quality(sample)` returns a number, a mapping with some of the fields of `Judgement`, or an
    awaitable of either. `client`: by default one for the environment's `DARLING_URL`. `params`: see
    `AdapterParams`; `send="uncentered_advantage"` is for `--disable-rewards-normalization`.
    """
    check_parts(quality, client, AsyncClient)
    request = Request(params, may_be_uncentered=True)
    client = client or AsyncClient()

    async def darling(args: Any, samples: Sequence[Any]) -> list[Any]:
        _check_normalization(args, request)
        judged = await judgements_of([(sample,) for sample in samples], quality)
        rows = [
            Row(sample.prompt, sample.response, _with_logprob(known, sample))
            for sample, known in zip(samples, judged, strict=True)
        ]
        scores = await scores_of_group(rows, client, request, _step(args, samples))
        key = getattr(args, "reward_key", None)
        rewards: list[Any] = []
        for sample, score in zip(samples, scores, strict=True):
            if score is None:
                raise ValueError("quality returned None, NaN or infinity; return a finite number")
            parts = score.parts()
            sample.metadata = {**(sample.metadata or {}), "darling": parts}
            rewards.append({**parts, key: score.reward} if key else score.reward)
        return rewards

    return darling


def _with_logprob(known: Judgement | None, sample: Any) -> Judgement | None:
    """The judgement with the log-probability of what the policy wrote; slime's `loss_mask` tells
    that, where tools wrote some of it."""
    return with_logprob(
        known, getattr(sample, "rollout_log_probs", None), getattr(sample, "loss_mask", None)
    )


def _check_normalization(args: Any, request: Request) -> None:
    """Warns, or refuses, where slime's arguments do not go with what it is sent."""
    if not getattr(args, "rewards_normalization", False):
        return
    if request.send == "uncentered_advantage":
        raise ValueError(
            "send is 'uncentered_advantage', but slime takes the group's mean off; set "
            "--disable-rewards-normalization"
        )
    if getattr(args, "grpo_std_normalization", False):
        request.std_is_on("slime", "--disable-grpo-std-normalization")


def _step(args: Any, samples: Sequence[Any]) -> int | None:
    """The step that a group is sampled for, as slime numbers its groups on and on; groups that it
    samples in excess move it forward."""
    group, per_step = (
        getattr(samples[0], "group_index", None),
        getattr(args, "rollout_batch_size", 0),
    )
    return None if group is None or not per_step else int(group) // int(per_step)
