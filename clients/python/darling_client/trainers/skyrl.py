"""SkyRL: a generator that rewards its groups with quality shaped by diversity.

    from darling_client.trainers.skyrl import DarlingGenerator

    class Generator(DarlingGenerator, SkyRLGymGenerator):
        pass

Return an instance from `get_generator` of your `BasePPOExp`. The reward of the environment is the
quality.
"""

from __future__ import annotations

from typing import Any

from darling_client import AsyncClient
from darling_client._calls import RewardParams
from darling_client._grouping import regroup
from darling_client.trainers._batch import Batch, Row


class DarlingGenerator:
    """A base class to name before the generator class that it extends."""

    darling_client: AsyncClient | None = None
    """The client to use; by default one for the environment's `DARLING_URL`."""
    darling_params: RewardParams | None = None
    """Options of the request, as for `Client.rewards`."""

    async def generate(self, input_batch: Any, **more: Any) -> Any:
        """Returns the generator's output, with rewards of quality shaped by diversity.

        Evaluation keeps the rewards of the environment. Of step-wise trajectories the last step is
        scored. Raises `DarlingError` when there is no answer within the client's `patience_s`, and
        `ValueError` when the environment's reward is not finite.
        """
        output = await super().generate(input_batch, **more)  # type: ignore[misc]
        metadata = input_batch.get("batch_metadata")
        if getattr(metadata, "training_phase", "train") == "eval":
            return output
        if self.darling_client is None:
            self.darling_client = AsyncClient()
        is_last_step = output.get("is_last_step") or [True] * len(output["rewards"])
        ids = output.get("trajectory_ids") or input_batch["trajectory_ids"]
        prompts = {
            trajectory.instance_id: prompt
            for trajectory, prompt in zip(
                input_batch["trajectory_ids"], input_batch["prompts"], strict=True
            )
        }
        last_steps = [index for index, is_last in enumerate(is_last_step) if is_last]
        rows = [
            Row(
                prompt=prompts[ids[index].instance_id],
                text=self.tokenizer.decode(  # type: ignore[attr-defined]
                    output["response_ids"][index], skip_special_tokens=True
                ),
                quality=_total(output["rewards"][index]),
            )
            for index in last_steps
        ]
        batch = Batch(rows, regroup(ids[index].instance_id for index in last_steps))
        scores = batch.scores(
            await self.darling_client.rewards(batch.groups, **(self.darling_params or {}))
        )
        rewards = list(output["rewards"])
        for index, score in zip(last_steps, scores, strict=True):
            if score is None:
                raise ValueError(
                    f"the environment's reward is {rewards[index]}; return a finite number"
                )
            rewards[index] = _shaped_like(rewards[index], score.reward)
        output["rewards"] = rewards
        return output


def _total(reward: Any) -> float:
    return float(sum(reward)) if isinstance(reward, list) else float(reward)


def _shaped_like(reward: Any, value: float) -> Any:
    """The value as `reward` has it: a number, or one per token, with the value on the last."""
    return [0.0] * (len(reward) - 1) + [value] if isinstance(reward, list) else value
