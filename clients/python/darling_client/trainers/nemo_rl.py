"""NeMo-RL: an environment for synchronous rollouts, which step whole batches.

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
from darling_client._types import content_text
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
    """An `EnvironmentInterface` for one turn; wrap it with `ray.remote`.

    `quality(messages, metadata)`: of one conversation. Rollouts with equal messages before the
    answer are a group. A group of one is refused: asynchronous rollouts step every rollout by
    itself, where no diversity can be seen. Validation does the same, with one rollout a prompt;
    give it an environment with `validation`, which rewards the quality alone. Raises `DarlingError`
    when there is no answer within `patience_s`.
    """
    import torch
    from nemo_rl.environments.interfaces import EnvironmentInterface, EnvironmentReturn

    class Darling(EnvironmentInterface):  # type: ignore[misc]
        def __init__(self, config: Any = None) -> None:
            self._client = client or Client()

        def step(self, message_log_batch: Sequence[Messages], metadata: Sequence[Any]) -> Any:
            judged = list(zip(message_log_batch, metadata, strict=True))
            values = [float(quality(messages, about)) for messages, about in judged]
            rewards = values if validation else self._rewards(message_log_batch, values)
            return EnvironmentReturn(
                observations=[{"role": "environment", "content": ""} for _ in rewards],
                metadata=list(metadata),
                next_stop_strings=[None] * len(rewards),
                # One tensor: NeMo-RL adds up a dict of them.
                rewards=torch.tensor(rewards),
                terminateds=torch.ones(len(rewards)),
                answers=[None] * len(rewards),
            )

        def _rewards(self, logs: Sequence[Messages], values: Sequence[float]) -> list[float]:
            rows = [
                Row(_prompt(messages), content_text(messages[-1]["content"]), value)
                for messages, value in zip(logs, values, strict=True)
            ]
            grouping = regroup(json.dumps(row.prompt) for row in rows)
            if any(len(group) == 1 for group in grouping.rows):
                raise ValueError(
                    "a prompt has one rollout in this batch: use synchronous rollouts and several "
                    "generations per prompt, an environment of its own for validation, or the "
                    "service's /trainers/nemo-gym/verify"
                )
            batch = Batch(rows, grouping)
            scores = batch.scores(self._client.rewards(batch.groups, **params))
            rewards = [score.reward for score in scores if score is not None]
            if len(rewards) < len(scores):
                raise ValueError("quality returned no finite number; give one")
            return rewards

        def global_post_process_and_metrics(self, batch: Any) -> Any:
            return batch, {}

    return Darling


def _prompt(messages: Messages) -> list[dict[str, str]]:
    return [
        {"role": str(message["role"]), "content": content_text(message["content"])}
        for message in messages[:-1]
    ]
