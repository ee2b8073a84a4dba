"""OpenRLHF: an agent file for `--train.agent_func_path`.

    from darling_client.trainers.openrlhf import agent_executor

    AgentExecutor = agent_executor(quality)

All rollouts of a prompt run on one actor, which scores them together. It finds their number by
itself, so evaluation may have another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient
from darling_client.trainers._batch import Row, Score, scores_of_group
from darling_client.trainers._cohort import Cohorts
from darling_client.trainers._quality import judgement, judgements_of, with_logprob
from darling_client.trainers._request import Request, check_parts
from darling_client.trainers._tokens import response

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams

Quality = Callable[[str, str, Any], Any]


def agent_executor(
    quality: Quality | None = None,
    *,
    remote_rm_url: str | list[str] | None = None,
    client: AsyncClient | None = None,
    **params: Unpack[AdapterParams],
) -> type:
    """Returns the class that OpenRLHF looks for. Give one of the two sources of quality.

    `quality(prompt, response, label)` returns a number, a mapping with some of the fields of
    `Judgement`, or an awaitable of either. `remote_rm_url` is a reward server or file, as
    `--reward.remote_url` takes it, whose reward becomes the quality. `client`: by default one for
    the environment's `DARLING_URL`. `params`: see `AdapterParams`.

    Its `execute` raises `DarlingError` when there is no answer within `patience_s`, which ends the
    run: OpenRLHF cannot express "no signal", and would break on a reward of None with an error that
    explains less.
    """
    request = Request(params)
    check_parts(quality or print, client, AsyncClient)
    if (quality is None) == (remote_rm_url is None):
        raise ValueError("agent_executor needs one source of quality: quality or remote_rm_url")
    client = client or AsyncClient()
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    async def scores(rows: list[Row]) -> list[Score | None]:
        return await scores_of_group(rows, client, request)

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
            # Siblings share the object of their images, of which the prompt says nothing.
            cohort = self._cohorts.join((prompt, str(label), images and id(images)))
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
                    known = judgement(output["reward"])
                else:
                    (known,) = await judgements_of([(prompt, text, label)], quality)
                if known is None:
                    raise ValueError(
                        "a rollout has no quality: quality or the server at remote_rm_url returned "
                        "None, NaN or infinity; return a finite number"
                    )
            except BaseException:
                cohort.leave()
                raise
            known = with_logprob(known, output.get("rollout_log_probs"), own)
            score = await cohort.arrive(Row(prompt, said, known))
            assert score is not None
            parts = {name: float(part) for name, part in score.parts().items()}
            return {
                **output,
                "reward": score.reward,
                "scores": score.reward if score.quality is None else score.quality,
                "extra_logs": {**output["extra_logs"], **parts},
            }

    return AgentExecutor
