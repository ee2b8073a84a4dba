"""TRL: a reward function for GRPOTrainer and RLOOTrainer, and for axolotl and unsloth.

Give it to the trainer:

    from darling_client.trainers.trl import DarlingReward

    GRPOTrainer(reward_funcs=DarlingReward(quality, num_generations=8), ...)

`AsyncDarlingReward` is the same as an async function, for AsyncGRPOTrainer and beside other async
reward functions.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darling_client import Client
from darling_client._grouping import Grouping, consecutive
from darling_client._messages import words_body
from darling_client._types import Prompt, Response
from darling_client.tracking import named
from darling_client.trainers._batch import Batch, Row, Score, logged
from darling_client.trainers._quality import judgements
from darling_client.trainers._ranks import together
from darling_client.trainers._request import Request, check_parts

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams

Rewards = list[float | None]
Quality = Callable[..., Any]
"""A TRL reward function, blocking or async:
`quality(prompts=..., completions=..., **columns)`. It returns a list with a number, a mapping with
some of the fields of `Judgement`, or None for each completion."""


class ShapedQuality:
    """Quality shaped by diversity, for rows as TRL passes them to reward functions.

    A row whose quality is None gets None, and so do the rows of a group that the service has not
    answered within the client's `patience_s`: TRL gives them advantage 0. Raises any other
    `DarlingError`.
    """

    __name__ = "darling"

    def __init__(
        self,
        quality: Quality,
        num_generations: int | None = None,
        *,
        num_generations_eval: int | None = None,
        args: Any = None,
        client: Client | None = None,
        gather: bool = True,
        **params: Unpack[AdapterParams],
    ) -> None:
        """`num_generations`, `num_generations_eval`: the same as in GRPOConfig. `args`: that
        GRPOConfig or RLOOConfig, instead of both; it is then checked at once. `client`: by default
        one for the environment's `DARLING_URL`.

        `gather`: score the rows of all ranks together, as a group may straddle ranks. Set it to
        False to save the exchange where `per_device_train_batch_size * steps_per_generation` is a
        multiple of `num_generations`. `params`: see `AdapterParams`.

        Raises `ValueError` and `TypeError` that name the wrong argument.
        """
        check_parts(quality, client, Client)
        self.request = Request(params)
        self.quality = quality
        self.gather = gather
        size = (
            getattr(args, "num_generations", None) if num_generations is None else num_generations
        )
        if size is None:
            raise ValueError(
                "num_generations is missing; give the number, or args=GRPOConfig(...), as TRL does "
                "not pass it to reward functions"
            )
        self.sizes = Sizes(
            size, num_generations_eval or getattr(args, "num_generations_eval", None)
        )
        for name, value in vars(self.sizes).items():
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and value > 0):
                raise ValueError(f"{name} is {value!r:.80}; give a whole number of at least 1")
        self._check(args)
        self.client = client or Client()

    def scored(
        self,
        prompts: Sequence[Prompt],
        responses: Sequence[Response],
        completions: Sequence[Any],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> Rewards:
        """The rewards of `responses`, of which the quality function sees the `completions`."""
        return self._scored(None, prompts, responses, completions, log_metric, **columns)

    def _scored(
        self,
        loop: asyncio.AbstractEventLoop | None,
        prompts: Sequence[Prompt],
        responses: Sequence[Response],
        completions: Sequence[Any],
        log_metric: Callable[[str, float], None] | None,
        /,
        **columns: Any,
    ) -> Rewards:
        """The same. `loop`: the event loop, of another thread, that runs an async quality function;
        by default one of its own. A column may have any name."""
        trainer = trainer_of(log_metric)
        step = getattr(columns.get("trainer_state"), "global_step", None)

        def local() -> list[Row]:
            self._check(getattr(trainer, "args", None))
            more = columns if log_metric is None else {**columns, "log_metric": log_metric}
            values = self.quality(prompts=prompts, completions=completions, **more)
            if inspect.isawaitable(values):
                result = _result_of(values)
                values = (
                    asyncio.run_coroutine_threadsafe(result, loop).result()
                    if loop
                    else asyncio.run(result)
                )
            judged = judgements(values, len(completions))
            return [
                Row(prompt, words_body(said), known)
                for prompt, said, known in zip(prompts, responses, judged, strict=True)
            ]

        def score(rows: list[Row]) -> list[Score | None]:
            grouping = group_rows([row.prompt for row in rows], self.sizes.possible(trainer))
            batch = Batch(rows, grouping, self.request)
            params = self.request.params(step)
            return batch.scores(self.client.try_rewards(batch.groups, **params))

        scores = together(local, score) if self.gather else score(local())
        if log_metric is not None:
            for name, value in named(logged(scores)).items():
                log_metric(name, value)
        return [None if score is None else score.reward for score in scores]

    def _check(self, args: Any) -> None:
        """Warns, or raises `ValueError`, where the trainer's arguments do not fit the reward."""
        for name in ("num_generations", "num_generations_eval"):
            theirs, ours = getattr(args, name, None), getattr(self.sizes, name)
            if theirs and ours and theirs != ours:
                raise ValueError(
                    f"{name} is {ours} in DarlingReward and {theirs} in the trainer's arguments; "
                    "give the same, or args= alone"
                )
        per_device = getattr(args, "per_device_train_batch_size", None) or 0
        rows = per_device * (getattr(args, "steps_per_generation", None) or 0)
        size = self.sizes.num_generations
        if not self.gather and rows % size:
            raise ValueError(
                f"gather is False, but a rank has {rows} rows (per_device_train_batch_size * "
                f"steps_per_generation), which are not whole groups of {size}; leave gather on"
            )
        if setting := divides_by_std(args):
            self.request.std_is_on(*setting)


class DarlingReward(ShapedQuality):
    """A TRL reward function that returns quality shaped by diversity.

    TRL adds up several reward functions, so one function has to return the product.
    """

    def __call__(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Any],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> Rewards:
        return self.scored(prompts, completions, completions, log_metric, **columns)


class AsyncDarlingReward(ShapedQuality):
    """`DarlingReward` as an async function: while the service works, TRL's event loop goes on with
    other reward functions, and that of AsyncGRPOTrainer with generation.

    A blocking quality function runs in a thread, and an async one in the event loop. With `gather`
    on several ranks give a trainer one of these only, as all ranks must score in one order.
    """

    async def __call__(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Any],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> Rewards:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(
            self._scored, loop, prompts, completions, completions, log_metric, **columns
        )


@dataclass(frozen=True)
class Sizes:
    """The sizes of groups in training and evaluation."""

    num_generations: int
    num_generations_eval: int | None = None
    """None: the same as in training."""

    def possible(self, trainer: Any) -> list[int]:
        """The size of the batch's groups where the trainer is seen, which tells its mode by that of
        its model; else those to try, in this order."""
        theirs = getattr(getattr(trainer, "args", None), "num_generations_eval", None)
        evaluation = self.num_generations_eval or theirs or self.num_generations
        model = getattr(trainer, "model", None)
        if isinstance(is_training := getattr(model, "training", None), bool):
            return [self.num_generations if is_training else evaluation]
        return list(dict.fromkeys([self.num_generations, evaluation]))


def trainer_of(log_metric: Any) -> Any:
    """The trainer, of which TRL passes a method to reward functions; None where it passes none."""
    trainer = getattr(log_metric, "__self__", None)
    return trainer if hasattr(trainer, "args") and hasattr(trainer, "model") else None


def divides_by_std(args: Any) -> tuple[str, str] | None:
    """The setting by which a trainer of these arguments divides by the std of rewards, and what to
    set instead; None if it does not or if the arguments do not tell."""
    scale = getattr(args, "scale_rewards", None)
    if scale not in (None, False, "none"):
        return f"scale_rewards={scale!r}", "scale_rewards='none'"
    if getattr(args, "normalize_advantages", False) is True:
        return "normalize_advantages=True", "normalize_advantages=False"
    if getattr(args, "multi_objective_aggregation", None) == "normalize_then_sum":
        name = "multi_objective_aggregation"
        return f"{name}='normalize_then_sum'", f"{name}='sum_then_normalize'"
    return None


def group_rows(prompts: Sequence[Prompt], sizes: Sequence[int]) -> Grouping:
    """Groups of consecutive rows, of the first of the `sizes` for which each has one prompt.

    Position decides and not the prompt alone, as two rows of the dataset may have the same prompt.
    Raises `ValueError` when no size fits.
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


async def _result_of(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
