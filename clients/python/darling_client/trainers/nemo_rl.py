"""NeMo-RL: an environment for synchronous rollouts, which step a whole batch at once.

my_module.py, which holds the two environments:

    import ray
    from darling_client.trainers.nemo_rl import environment

    Darling = ray.remote(environment(quality))   # register_env("darling", "my_module.Darling")
    Validation = ray.remote(environment(quality, validation=True))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import Client
from darling_client._grouping import regroup
from darling_client._messages import messages_body
from darling_client.trainers._batch import Batch, Row

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client._calls import RewardParams

Messages = Sequence[Mapping[str, Any]]


def environment(
    quality: Callable[[Messages, Any], float],
    *,
    validation: bool = False,
    client: Client | None = None,
    **params: Unpack[RewardParams],
) -> type:
    """Returns an `EnvironmentInterface` class for one turn; wrap it with `ray.remote`.

    `quality(messages, metadata)` is the quality of one conversation. Rollouts with equal messages
    before the last one are a group. `validation`: reward the quality alone, as validation has one
    rollout per prompt. `client`: by default one for the environment's `DARLING_URL`. `params`:
    options of the request, as for `Client.rewards`.

    Its `step` raises `DarlingError` when there is no answer within `patience_s`, and `ValueError`
    for a group of one, which has no diversity: asynchronous rollouts step each rollout alone.
    """
    import torch
    from nemo_rl.environments.interfaces import EnvironmentInterface, EnvironmentReturn

    class Darling(EnvironmentInterface):  # type: ignore[misc]
        def __init__(self, config: Any = None) -> None:
            self._client = client or Client()

        def step(self, message_log_batch: Sequence[Messages], metadata: Sequence[Any]) -> Any:
            qualities = [
                float(quality(messages, about))
                for messages, about in zip(message_log_batch, metadata, strict=True)
            ]
            rewards = qualities if validation else self._rewards(message_log_batch, qualities)
            return EnvironmentReturn(
                observations=[{"role": "environment", "content": ""} for _ in rewards],
                metadata=list(metadata),
                next_stop_strings=[None] * len(rewards),
                # One tensor, as NeMo-RL adds up the tensors of a dict.
                rewards=torch.tensor(rewards),
                terminateds=torch.ones(len(rewards)),
                answers=[None] * len(rewards),
            )

        def _rewards(self, logs: Sequence[Messages], qualities: Sequence[float]) -> list[float]:
            rows = [
                Row(messages[:-1], messages[-1:], value)
                for messages, value in zip(logs, qualities, strict=True)
            ]
            grouping = regroup(json.dumps(messages_body(messages[:-1])) for messages in logs)
            if any(len(group) == 1 for group in grouping.rows):
                raise ValueError(
                    "a prompt has one rollout in this batch, so there is no diversity: use "
                    "synchronous rollouts with several generations per prompt, "
                    "environment(quality, validation=True) for validation, or the service's "
                    "/trainers/nemo-gym/verify"
                )
            batch = Batch(rows, grouping)
            scores = batch.scores(self._client.rewards(batch.groups, **params))
            rewards = [score.reward for score in scores if score is not None]
            if len(rewards) < len(scores):
                raise ValueError("quality returned NaN or infinity; return a finite number")
            return rewards

        def global_post_process_and_metrics(self, batch: Any) -> Any:
            return batch, {}

    return Darling
