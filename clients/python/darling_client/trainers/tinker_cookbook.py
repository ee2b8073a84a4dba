"""tinker-cookbook: a dataset whose groups are rewarded with quality shaped by diversity.

Wrap the training dataset that your `RLDatasetBuilder` returns, and leave the test dataset as it is:

    from darling_client.trainers.tinker_cookbook import DarlingDataset

    train, test = await MyDatasetBuilder.__call__(self)
    return DarlingDataset(train), test
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from tinker_cookbook.rl.types import EnvGroupBuilder, RLDataset

from darling_client import AsyncClient
from darling_client.tracking import named
from darling_client.trainers._batch import Row, scores_of_group
from darling_client.trainers._quality import judgements_of, with_logprob
from darling_client.trainers._request import Request, check_parts
from darling_client.trainers._tokens import decoded, in_turns

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams

Quality = Callable[[float, Any, Any], Any]


def total_reward(reward: float, trajectory: Any, env: Any) -> float:
    """The reward of the environment and its group."""
    return reward


class DarlingDataset(RLDataset):  # type: ignore[misc]
    """The dataset, with `DarlingGroupBuilder` around the builder of each group."""

    def __init__(
        self,
        dataset: Any,
        quality: Quality = total_reward,
        *,
        tokenizer: Any = None,
        client: AsyncClient | None = None,
        **params: Unpack[AdapterParams],
    ) -> None:
        """`quality(reward, trajectory, env)` returns a number, a mapping with some of the fields of
        `Judgement`, or an awaitable of either. `reward` is the total reward without diversity,
        which is the quality by default. `tokenizer`: by default that of each environment's
        `renderer`. `client`: by default one for the environment's `DARLING_URL`. `params`: see
        `AdapterParams`. All of it must be picklable where rollouts run in other processes.

        Raises `ValueError` and `TypeError` that name the wrong argument.
        """
        check_parts(quality, client, AsyncClient)
        self._dataset = dataset
        self._parts = (quality, tokenizer, client or AsyncClient(), Request(params))

    def get_batch(self, index: int) -> list[Any]:
        return [DarlingGroupBuilder(one, *self._parts) for one in self._dataset.get_batch(index)]

    def __len__(self) -> int:
        return len(self._dataset)


@dataclass(frozen=True)
class DarlingGroupBuilder(EnvGroupBuilder):  # type: ignore[misc]
    """A builder whose group reward is what is missing to quality shaped by diversity, as
    tinker-cookbook adds it to the rewards of the steps."""

    builder: Any
    quality: Quality
    tokenizer: Any
    client: AsyncClient
    request: Request

    async def make_envs(self) -> Any:
        return await self.builder.make_envs()

    async def compute_group_rewards(
        self, trajectory_group: Sequence[Any], env_group: Sequence[Any]
    ) -> list[tuple[float, dict[str, Any]]]:
        """Raises `DarlingError` when there is no answer within the client's `patience_s`, and
        `ValueError` when a rollout has no finite quality. A `RolloutStrategy` that tolerates errors
        of groups then leaves the group out."""
        before = await self.builder.compute_group_rewards(trajectory_group, env_group)
        steps = [sum(step.reward for step in one.transitions) for one in trajectory_group]
        totals = [own + reward for own, (reward, _) in zip(steps, before, strict=True)]
        rollouts = list(zip(totals, trajectory_group, env_group, strict=True))
        judged = await judgements_of(rollouts, self.quality)
        rows = []
        for (_, trajectory, env), known in zip(rollouts, judged, strict=True):
            tokenizer = self.tokenizer or _tokenizer(env)
            prompt = decoded(tokenizer, _tokens(trajectory.transitions[0].ob))
            turns = [decoded(tokenizer, step.ac.tokens) for step in trajectory.transitions]
            rows.append(Row(prompt, in_turns(turns), with_logprob(known, _logprobs(trajectory))))
        scores = await scores_of_group(rows, self.client, self.request)
        rewards = []
        for own, (_, metrics), score in zip(steps, before, scores, strict=True):
            if score is None:
                raise ValueError("quality is None, NaN or infinity; return a finite number")
            rewards.append((score.reward - own, {**metrics, **named(score.parts())}))
        return rewards

    async def cleanup(self) -> None:
        await self.builder.cleanup()

    def logging_tags(self) -> Any:
        return self.builder.logging_tags()


def _tokenizer(env: Any) -> Any:
    tokenizer = getattr(getattr(env, "renderer", None), "tokenizer", None)
    if tokenizer is None:
        raise ValueError(
            f"{type(env).__name__} has no renderer with a tokenizer; give DarlingDataset the "
            "tokenizer"
        )
    return tokenizer


def _tokens(observation: Any) -> list[int]:
    """The tokens of an observation, without those of its images."""
    return [token for chunk in observation.chunks for token in getattr(chunk, "tokens", ())]


def _logprobs(trajectory: Any) -> list[float] | None:
    """The log-probabilities of all the policy's tokens; None where a turn has none."""
    turns = [step.ac.maybe_logprobs for step in trajectory.transitions]
    return None if None in turns else list(chain.from_iterable(turns))
