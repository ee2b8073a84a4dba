"""OpenRLHF: an agent file for `--train.agent_func_path`.

    from darling_client.trainers.openrlhf import agent_executor

    AgentExecutor = agent_executor(quality)

All siblings of a prompt run on one actor, so they meet there; their number need not be said, and
evaluation with another number works alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient
from darling_client._grouping import Grouping
from darling_client.trainers._batch import Batch, Row, Score
from darling_client.trainers._cohort import Cohorts
from darling_client.trainers._quality import quality_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client._calls import RewardParams

Quality = Callable[[str, str, Any], "float | Awaitable[float]"]


def agent_executor(
    quality: Quality | None = None,
    *,
    remote_rm_url: str | list[str] | None = None,
    client: AsyncClient | None = None,
    **params: Unpack[RewardParams],
) -> type:
    """The class that OpenRLHF looks for; one of the two sources of quality has to be given.

    `quality(prompt, response, label)`: a number, or something to await. `remote_rm_url`: a reward
    server or file as `--reward.remote_url` takes it, whose reward is then the quality. Raises
    `DarlingError` when there is no answer within `patience_s`, which ends the run: OpenRLHF has no
    way to say "no signal", and a reward of None breaks it at a less telling place.
    """
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    if (quality is None) == (remote_rm_url is None):
        raise ValueError("give agent_executor either quality or remote_rm_url")
    client = client or AsyncClient()

    async def score(rows: list[Row]) -> list[Score | None]:
        batch = Batch(rows, Grouping([list(range(len(rows)))]))
        return batch.scores(await client.rewards(batch.groups, **params))

    class AgentExecutor(SingleTurnAgentExecutor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(remote_rm_url)
            self._cohorts: Cohorts[Row, Score | None] = Cohorts(score)

        async def execute(
            self,
            prompt: Any,
            label: Any,
            sampling_params: Any,
            max_length: int,
            hf_tokenizer: Any,
            llm_engine: Any,
            images: Any = None,
        ) -> dict[str, Any]:
            cohort = self._cohorts.join((prompt, str(label)))
            try:
                output: dict[str, Any] = await super().execute(
                    prompt, label, sampling_params, max_length, hf_tokenizer, llm_engine, images
                )
                tokens, ranges = output["observation_tokens"], output["action_ranges"]
                response = "\n\n".join(
                    hf_tokenizer.decode(tokens[start:end], skip_special_tokens=True)
                    for start, end in ranges
                )
                if quality is None:
                    value = None if output["reward"] is None else float(output["reward"])
                else:
                    (value,) = await quality_of(quality, [(prompt, response, label)])
                if value is None:
                    raise ValueError("a rollout has no quality: its source gave None or no answer")
            except BaseException:
                cohort.leave()
                raise
            scored = await cohort.arrive(Row(prompt, response, value))
            if scored is None:
                raise ValueError(f"a rollout's quality is {value}; give a finite number")
            return {
                **output,
                "reward": scored.reward,
                "scores": scored.quality,
                "extra_logs": {
                    **output["extra_logs"],
                    "quality": scored.quality,
                    "diversity": scored.diversity,
                    "num_classes": float(scored.num_classes),
                },
            }

    return AgentExecutor
