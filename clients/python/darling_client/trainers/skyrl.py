"""SkyRL: a generator that rewards its groups with quality shaped by diversity.

    from darling_client.trainers.skyrl import DarlingGenerator

    class Generator(DarlingGenerator, SkyRLGymGenerator):
        pass

Return an instance from `get_generator` of your `BasePPOExp`. The reward of the environment is the
quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from darling_client import AsyncClient
from darling_client._grouping import regroup
from darling_client._types import Response
from darling_client.tracking import named
from darling_client.trainers._batch import Batch, Row, logged
from darling_client.trainers._quality import Judgement, judgements_of, with_logprob
from darling_client.trainers._request import AdapterParams, Request, check_parts
from darling_client.trainers._tokens import in_turns, response


class DarlingGenerator:
    """A base class to name before the generator class that it extends."""

    darling_client: AsyncClient | None = None
    """The client to use; by default one for the environment's `DARLING_URL`."""
    darling_params: AdapterParams | None = None
    """See `AdapterParams`; checked when the generator is made."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        check_parts(print, self.darling_client, AsyncClient, "darling_client")
        Request(self.darling_params or {})

    def darling_quality(self, reward: float, response: Response, extras: Any) -> Any:
        """What is known of a rollout: a number, a mapping with some of the fields of `Judgement`,
        or an awaitable of either. Override it to say more than the environment's `reward`.

        `response`: what the policy wrote. `extras`: `env_extras` of the dataset's row.
        """
        return reward

    async def generate(self, input_batch: Any, **more: Any) -> Any:
        """Returns the generator's output, with rewards of quality shaped by diversity, and their
        parts among the metrics that SkyRL logs.

        Evaluation keeps the rewards of the environment. Of step-wise trajectories the last step
        gets the reward of all steps. Raises `DarlingError` when there is no answer within the
        client's `patience_s`, and `ValueError` when the environment's reward is not finite.
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
        extras = dict(
            zip(
                map(_name, input_batch["trajectory_ids"]),
                input_batch.get("env_extras") or [None] * len(input_batch["prompts"]),
                strict=True,
            )
        )
        trajectories = [_steps(output, ids, index) for index in last_steps]
        responses = [self._response(output, steps) for steps in trajectories]
        judged = await judgements_of(
            [
                (_total(output["rewards"][index]), response, extras[_name(ids[index])])
                for index, response in zip(last_steps, responses, strict=True)
            ],
            self.darling_quality,
        )
        rows = [
            Row(prompts[ids[steps[-1]].instance_id], response, _with_logprob(known, output, steps))
            for steps, response, known in zip(trajectories, responses, judged, strict=True)
        ]
        request = Request(self.darling_params or {})
        # Each row of the dataset has an id of its own, even where its prompt is another's too.
        grouping = regroup(ids[index].instance_id for index in last_steps)
        batch = Batch(rows, grouping, request)
        params = request.params(getattr(metadata, "global_step", None))
        scores = batch.scores(await self.darling_client.rewards(batch.groups, **params))
        rewards = list(output["rewards"])
        for index, score in zip(last_steps, scores, strict=True):
            if score is None:
                raise ValueError(
                    f"the quality of a rollout is None, NaN or infinity, where the environment's "
                    f"reward is {rewards[index]}; return a finite number"
                )
            rewards[index] = _shaped_like(rewards[index], score.reward)
        output["rewards"] = rewards
        # SkyRL adds up the metrics of several batches, except those it calls an average.
        averages = named({f"avg_{name}": value for name, value in logged(scores).items()})
        output["rollout_metrics"] = {**(output.get("rollout_metrics") or {}), **averages}
        return output

    def _response(self, output: Any, steps: Sequence[int]) -> Response:
        """The response of a trajectory in the rows of its steps."""
        masks = output.get("loss_masks")
        return in_turns(
            [
                response(
                    self.tokenizer,  # type: ignore[attr-defined]
                    output["response_ids"][step],
                    None if masks is None else masks[step],
                )
                for step in steps
            ]
        )


def _steps(output: Any, ids: Sequence[Any], last: int) -> range:
    """The rows of a trajectory's steps, of which `last` is the last."""
    first, is_last = last, output.get("is_last_step")
    while is_last and first > 0 and not is_last[first - 1] and ids[first - 1] == ids[last]:
        first -= 1
    return range(first, last + 1)


def _with_logprob(known: Judgement | None, output: Any, steps: Sequence[int]) -> Judgement | None:
    """The judgement with the log-probability of what the policy wrote in all steps."""
    by_row, masks = output.get("rollout_logprobs"), output.get("loss_masks")
    if not by_row or any(by_row[step] is None for step in steps):
        return known
    own = None if masks is None else chain.from_iterable(masks[step] for step in steps)
    return with_logprob(known, chain.from_iterable(by_row[step] for step in steps), own)


def _name(trajectory: Any) -> tuple[Any, Any]:
    """What tells a rollout from all others of the batch."""
    return trajectory.instance_id, getattr(trajectory, "repetition_id", None)


def _total(reward: Any) -> float:
    return float(sum(reward)) if isinstance(reward, list) else float(reward)


def _shaped_like(reward: Any, value: float) -> Any:
    """The value as `reward` has it: a number, or one per token, with the value on the last."""
    return [0.0] * (len(reward) - 1) + [value] if isinstance(reward, list) else value
