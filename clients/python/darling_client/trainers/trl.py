"""TRL: a reward function for GRPOTrainer and RLOOTrainer, and for axolotl and unsloth.

Give it to the trainer:

    from darling_client.trainers.trl import DarlingReward

    GRPOTrainer(reward_funcs=DarlingReward(quality, num_generations=8), ...)
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import Client
from darling_client._grouping import Grouping, consecutive
from darling_client._messages import words_body
from darling_client._types import Prompt, Response
from darling_client.trainers._batch import Batch, Row, Score
from darling_client.trainers._ranks import together

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client._calls import RewardParams

Quality = Callable[..., Any]
"""A TRL reward function, blocking or async:
`quality(prompts=..., completions=..., **columns) -> list[float | None]`."""


class DarlingReward:
    """A TRL reward function that returns quality shaped by diversity.

    TRL adds up several reward functions, so one function has to return the product. A row whose
    quality is None gets None, and so do the rows of a group that the service has not answered
    within the client's `patience_s`: TRL gives them advantage 0. Raises any other `DarlingError`.
    """

    __name__ = "darling"

    def __init__(
        self,
        quality: Quality,
        num_generations: int,
        *,
        num_generations_eval: int | None = None,
        client: Client | None = None,
        gather: bool = True,
        **params: Unpack[RewardParams],
    ) -> None:
        """`num_generations`, `num_generations_eval`: the same as in GRPOConfig, which TRL does not
        pass to reward functions. `client`: by default one for the environment's `DARLING_URL`.

        `gather`: score the rows of all ranks together, as a group may straddle ranks. Set it to
        False to save the exchange where `per_device_train_batch_size * steps_per_generation` is a
        multiple of `num_generations`. `params`: options of the request, as for `Client.rewards`.
        """
        self.quality = quality
        self.sizes = list(dict.fromkeys([num_generations, num_generations_eval or num_generations]))
        self.client = client or Client()
        self.gather = gather
        self.params = params

    def __call__(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Any],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        return self.scored(prompts, completions, completions, log_metric, **columns)

    def scored(
        self,
        prompts: Sequence[Prompt],
        responses: Sequence[Response],
        completions: Sequence[Any],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """The rewards of `responses`, of which the quality function sees the `completions`."""

        def local() -> list[Row]:
            more = columns if log_metric is None else {**columns, "log_metric": log_metric}
            qualities = self.quality(prompts=prompts, completions=completions, **more)
            if inspect.isawaitable(qualities):
                qualities = asyncio.run(_result_of(qualities))
            return [
                Row(prompt, words_body(said), None if value is None else float(value))
                for prompt, said, value in zip(prompts, responses, qualities, strict=True)
            ]

        scores = together(local, self._score) if self.gather else self._score(local())
        if log_metric is not None:
            _log(scores, log_metric)
        return [None if score is None else score.reward for score in scores]

    def _score(self, rows: list[Row]) -> list[Score | None]:
        batch = Batch(rows, group_rows([row.prompt for row in rows], self.sizes))
        return batch.scores(self.client.try_rewards(batch.groups, **self.params))


def group_rows(prompts: Sequence[Prompt], sizes: Sequence[int]) -> Grouping:
    """Groups of consecutive rows, of the first of the `sizes` for which each has one prompt.

    Position decides and not the prompt alone, as two rows of the dataset may have the same prompt.
    TRL does not say whether it trains or evaluates, so the size has to be recognised. Raises
    `ValueError` when no size fits.
    """
    for size in sizes:
        if len(prompts) % size == 0:
            grouping = consecutive(len(prompts), size)
            groups = grouping.split(prompts)
            if all(prompt == group[0] for group in groups for prompt in group):
                return grouping
    raise ValueError(
        f"{len(prompts)} rows do not divide into groups of {' or '.join(map(str, sizes))} equal "
        "prompts; give DarlingReward the trainer's num_generations and num_generations_eval, and "
        "leave gather on where groups straddle ranks"
    )


def _log(scores: Sequence[Score | None], log_metric: Callable[[str, float], None]) -> None:
    """Logs means over the scored rows of this rank, and the share of rows without a score."""
    scored = [score for score in scores if score is not None]
    if scored:
        log_metric("darling/quality", sum(score.quality for score in scored) / len(scored))
        log_metric("darling/diversity", sum(score.diversity for score in scored) / len(scored))
        log_metric("darling/num_classes", sum(score.num_classes for score in scored) / len(scored))
    log_metric("darling/unanswered", 1 - len(scored) / len(scores) if scores else 0.0)


async def _result_of(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
