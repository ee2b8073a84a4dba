"""OpenRLHF: an agent file for `--train.agent_func_path`.

    from darling_client.trainers.openrlhf import agent_executor

    AgentExecutor = agent_executor(quality)

All rollouts of a prompt run on one actor, which scores them together. It finds their number by
itself, so evaluation may have another one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient
from darling_client._grouping import Grouping
from darling_client.trainers._batch import Batch, Row, Score
from darling_client.trainers._cohort import Cohorts
from darling_client.trainers._quality import qualities_of
from darling_client.trainers._tokens import response

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
    """Returns the class that OpenRLHF looks for. Give one of the two sources of quality.

    `quality(prompt, response, label)` returns a number, or an awaitable of one. `remote_rm_url` is
    a reward server or file, as `--reward.remote_url` takes it, whose reward becomes the quality.
    `client`: by default one for the environment's `DARLING_URL`. `params`: options of the request,
    as for `Client.rewards`.

    Its `execute` raises `DarlingError` when there is no answer within `patience_s`, which ends the
    run: OpenRLHF cannot express "no signal", and would break on a reward of None with an error that
    explains less.
    """
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    if (quality is None) == (remote_rm_url is None):
        raise ValueError("agent_executor needs one source of quality: quality or remote_rm_url")
    client = client or AsyncClient()

    async def scores(rows: list[Row]) -> list[Score | None]:
        batch = Batch(rows, Grouping([list(range(len(rows)))]))
        return batch.scores(await client.rewards(batch.groups, **params))

    class AgentExecutor(SingleTurnAgentExecutor):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(remote_rm_url)
            self._cohorts: Cohorts[Row, Score | None] = Cohorts(scores)

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
                own = [False] * len(tokens)
                for start, end in ranges:
                    own[start:end] = [True] * (end - start)
                start, end = ranges[0][0], ranges[-1][1]
                said = response(hf_tokenizer, tokens[start:end], own[start:end])
                text = "\n\n".join(
                    hf_tokenizer.decode(tokens[start:end], skip_special_tokens=True)
                    for start, end in ranges
                )
                if quality is None:
                    value = None if output["reward"] is None else float(output["reward"])
                else:
                    (value,) = await qualities_of([(prompt, text, label)], quality)
                if value is None:
                    raise ValueError(
                        "a rollout has no quality: quality or the server at remote_rm_url returned "
                        "None; return a finite number"
                    )
            except BaseException:
                cohort.leave()
                raise
            score = await cohort.arrive(Row(prompt, said, value))
            if score is None:
                raise ValueError(f"a rollout's quality is {value}; return a finite number")
            return {
                **output,
                "reward": score.reward,
                "scores": score.quality,
                "extra_logs": {
                    **output["extra_logs"],
                    "quality": score.quality,
                    "diversity": score.diversity,
                    "num_classes": float(score.num_classes),
                },
            }

    return AgentExecutor
