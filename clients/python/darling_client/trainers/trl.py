"""TRL's GRPOTrainer and RLOOTrainer, and what is built on them (axolotl, unsloth).

from darling_client.trainers.trl import DarlingReward

GRPOTrainer(reward_funcs=DarlingReward(quality, num_generations=8), ...)
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import Client
from darling_client._grouping import Grouping, consecutive
from darling_client._types import Prompt, completion_text
from darling_client.trainers._batch import Batch, Row, Score
from darling_client.trainers._ranks import together

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client._calls import RewardParams

Quality = Callable[..., Any]
"""A TRL reward function: `quality(prompts=..., completions=..., **columns) -> list[float | None]`,
or one to await."""


class DarlingReward:
    """One reward function that returns quality times diversity.

    TRL adds up what several reward functions return, so the product has to be made in one. A row
    whose quality is None gets None. So do the rows of a group that the service has not answered
    within the client's `patience_s`: TRL gives them advantage 0. A refused request raises.
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
        """`num_generations`, `num_generations_eval`: as in GRPOConfig, which does not tell.

        `gather`: score the rows of all ranks together, as groups may straddle them. False where
        `per_device_train_batch_size * steps_per_generation` is a multiple of `num_generations`
        saves the exchange. `params`: reward, partition, run, model, as in `Client.rewards`.
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
        def local() -> list[Row]:
            more = columns if log_metric is None else {**columns, "log_metric": log_metric}
            given = self.quality(prompts=prompts, completions=completions, **more)
            quality = asyncio.run(_awaited(given)) if inspect.isawaitable(given) else given
            texts = map(completion_text, completions)
            return [
                Row(prompt, text, None if value is None else float(value))
                for prompt, text, value in zip(prompts, texts, quality, strict=True)
            ]

        scores = together(local, self._score) if self.gather else self._score(local())
        if log_metric is not None:
            _log(scores, log_metric)
        return [None if score is None else score.reward for score in scores]

    def _score(self, rows: list[Row]) -> list[Score | None]:
        batch = Batch(rows, group_rows([row.prompt for row in rows], self.sizes))
        return batch.scores(self.client.try_rewards(batch.groups, **self.params))


def group_rows(prompts: Sequence[Prompt], sizes: Sequence[int]) -> Grouping:
    """Runs of consecutive rows, of the first size by which each run has one prompt.

    By position, as two dataset rows may have the same prompt. Nothing tells evaluation from
    training, so its size is recognised. Raises `ValueError` when none fits.
    """
    for size in sizes:
        if len(prompts) % size == 0:
            grouping = consecutive(len(prompts), size)
            runs = grouping.split(prompts)
            if all(prompt == run[0] for run in runs for prompt in run):
                return grouping
    raise ValueError(
        f"{len(prompts)} rows are no groups of {' or '.join(map(str, sizes))} equal prompts; give "
        "DarlingReward the trainer's num_generations and num_generations_eval, and leave gather on "
        "where groups straddle ranks"
    )


def _log(scores: Sequence[Score | None], log_metric: Callable[[str, float], None]) -> None:
    """Means over the rows of this rank; nothing where there are none."""
    found = [score for score in scores if score is not None]
    if found:
        log_metric("darling/quality", sum(score.quality for score in found) / len(found))
        log_metric("darling/diversity", sum(score.diversity for score in found) / len(found))
        log_metric("darling/num_classes", sum(score.num_classes for score in found) / len(found))
    log_metric("darling/unanswered", 1 - len(found) / len(scores) if scores else 0.0)


async def _awaited(given: Any) -> Any:
    return await given
