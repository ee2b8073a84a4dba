"""verifiers up to 0.3: a group reward function for a Rubric.

Give it to the environment's rubric:

    from darling_client.trainers.verifiers import group_reward

    vf.Rubric(funcs=[group_reward(quality)], weights=[1.0])
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient
from darling_client.trainers._batch import Row, scores_of_group
from darling_client.trainers._quality import judgements_of
from darling_client.trainers._request import Request, check_parts

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams


def group_reward(
    quality: Callable[..., Any],
    *,
    client: AsyncClient | None = None,
    **params: Unpack[AdapterParams],
) -> Callable[..., Awaitable[list[float]]]:
    """Returns a reward function of whole groups, as verifiers tells by its plural parameters.

    It returns quality shaped by diversity for each rollout. It raises `DarlingError` when there is
    no answer within `patience_s`, and `ValueError` when a rollout has no finite quality: verifiers
    logs the error and gives the whole group the same 0, which is no signal.

    `quality` is a reward function of one rollout, blocking or async, with any of the parameters
    prompt, completion, answer, state, task and info. It returns a number, or a mapping with some of
    the fields of `Judgement`. Give it here and not to the rubric, as group functions do not see
    what other functions return. `client`: by default one for the environment's `DARLING_URL`.
    `params`: see `AdapterParams`.
    """
    check_parts(quality, client, AsyncClient)
    request = Request(params)
    client = client or AsyncClient()
    parameters = inspect.signature(quality).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def quality_of(rollout: dict[str, Any]) -> Any:
        return quality(**{k: v for k, v in rollout.items() if takes_all or k in parameters})

    async def darling(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        answers: Sequence[Any],
        states: Sequence[Any],
        tasks: Sequence[Any],
        infos: Sequence[Any],
    ) -> list[float]:
        names = ("prompt", "completion", "answer", "state", "task", "info")
        columns = zip(prompts, completions, answers, states, tasks, infos, strict=True)
        rollouts = [(dict(zip(names, values, strict=True)),) for values in columns]
        judged = await judgements_of(rollouts, quality_of)
        rows = [
            Row(prompt, completion, known)
            for prompt, completion, known in zip(prompts, completions, judged, strict=True)
        ]
        scores = await scores_of_group(rows, client, request)
        if None in scores:
            raise ValueError("quality returned None, NaN or infinity; return a finite number")
        return [score.reward for score in scores if score is not None]

    return darling
