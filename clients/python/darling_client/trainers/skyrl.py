"""SkyRL: a generator whose groups get quality times diversity.

    from darling_client.trainers.skyrl import DarlingGenerator

    class Generator(DarlingGenerator, SkyRLGymGenerator):
        pass

Return it from `get_generator` of your `BasePPOExp`. The environment's own reward is the quality.
"""

from __future__ import annotations

from typing import Any

from darling_client import AsyncClient
from darling_client._calls import RewardParams
from darling_client._grouping import regroup
from darling_client.trainers._batch import Batch, Row


class DarlingGenerator:
    """Stands before the generator class that it extends.

    Evaluation keeps its rewards. With step-wise trajectories the last step of each is scored.
    Raises `DarlingError` when there is no answer within the client's `patience_s`.
    """

    darling_client: AsyncClient | None = None
    """Default: one by `DARLING_URL`."""
    darling_asked: RewardParams | None = None
    """reward, partition, run, model."""

    async def generate(self, input_batch: Any, **more: Any) -> Any:
        output = await super().generate(input_batch, **more)  # type: ignore[misc]
        metadata = input_batch.get("batch_metadata")
        if getattr(metadata, "training_phase", "train") == "eval":
            return output
        if self.darling_client is None:
            self.darling_client = AsyncClient()
        last = output.get("is_last_step") or [True] * len(output["rewards"])
        ids = output.get("trajectory_ids") or input_batch["trajectory_ids"]
        prompts = {
            one.instance_id: prompt
            for one, prompt in zip(
                input_batch["trajectory_ids"], input_batch["prompts"], strict=True
            )
        }
        at = [index for index, is_last in enumerate(last) if is_last]
        rows = [
            Row(
                prompt=prompts[ids[index].instance_id],
                text=self.tokenizer.decode(  # type: ignore[attr-defined]
                    output["response_ids"][index], skip_special_tokens=True
                ),
                quality=_total(output["rewards"][index]),
            )
            for index in at
        ]
        batch = Batch(rows, regroup(ids[index].instance_id for index in at))
        scores = batch.scores(
            await self.darling_client.rewards(batch.groups, **(self.darling_asked or {}))
        )
        rewards = list(output["rewards"])
        for index, score in zip(at, scores, strict=True):
            if score is None:
                raise ValueError(f"the environment's reward is {rewards[index]}, no finite number")
            rewards[index] = _shaped_like(rewards[index], score.reward)
        output["rewards"] = rewards
        return output


def _total(reward: Any) -> float:
    return float(sum(reward)) if isinstance(reward, list) else float(reward)


def _shaped_like(reward: Any, value: float) -> Any:
    """A number, or one per token, of which the last carries it."""
    return [0.0] * (len(reward) - 1) + [value] if isinstance(reward, list) else value
