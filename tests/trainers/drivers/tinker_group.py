"""A group through tinker-cookbook's own rollouts: tinker_group.py < [response, ...]

Prints the total rewards, the advantages and the metrics, and what the builder is after pickling.
"""

import asyncio
import json
import pickle
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import tinker
from tinker_cookbook.completers import TokenCompleter, TokensWithLogprobs
from tinker_cookbook.rl.data_processing import compute_advantages
from tinker_cookbook.rl.rollouts import do_group_rollout
from tinker_cookbook.rl.types import Env, EnvGroupBuilder, RLDataset, StepResult

from darling_client import AsyncClient
from darling_client.trainers.tinker_cookbook import DarlingDataset

PROMPT = "say something about a sea"


class Letters:
    """A tokenizer whose tokens are letters."""

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        return "".join(map(chr, ids))


class Sea(Env):  # type: ignore[misc]
    renderer = SimpleNamespace(tokenizer=Letters())

    async def initial_observation(self) -> Any:
        return tinker.ModelInput.from_ints(list(map(ord, PROMPT))), []

    async def step(self, action: Sequence[int], *, extra: Any = None) -> Any:
        blue = "blue" in Letters().decode(action)
        return StepResult(float(blue), True, tinker.ModelInput.from_ints([]), [])


class SeaBuilder(EnvGroupBuilder):  # type: ignore[misc]
    """Its group reward is 0.25 where the environment gives none."""

    def __init__(self, size: int) -> None:
        self.size = size

    async def make_envs(self) -> list[Sea]:
        return [Sea() for _ in range(self.size)]

    async def compute_group_rewards(self, trajectories: Any, envs: Any) -> Any:
        missing = [1 - trajectory.transitions[-1].reward for trajectory in trajectories]
        return [(0.25 * share, {"missing": share}) for share in missing]

    def logging_tags(self) -> list[str]:
        return ["sea"]


class SeaDataset(RLDataset):  # type: ignore[misc]
    def __init__(self, size: int) -> None:
        self.size = size

    def get_batch(self, index: int) -> list[SeaBuilder]:
        return [SeaBuilder(self.size)]

    def __len__(self) -> int:
        return 1


class Policy(TokenCompleter):  # type: ignore[misc]
    """Says the responses one after another."""

    def __init__(self, responses: Sequence[str]) -> None:
        self.responses = iter(responses)

    async def __call__(self, model_input: Any, stop: Any, *more: Any, **options: Any) -> Any:
        tokens = list(map(ord, next(self.responses)))
        return TokensWithLogprobs(tokens=tokens, maybe_logprobs=[-1.0] * len(tokens))


def rolled_out(responses: Sequence[str], client: AsyncClient | None = None) -> Any:
    """The `TrajectoryGroup` of the dataset's one builder, which went to another process."""
    (builder,) = DarlingDataset(SeaDataset(len(responses)), client=client).get_batch(0)
    builder = pickle.loads(pickle.dumps(builder))
    assert builder.logging_tags() == ["sea"]
    return asyncio.run(do_group_rollout(builder, Policy(responses)))


if __name__ == "__main__":
    group = rolled_out(json.loads(sys.stdin.read()))
    told = {
        "rewards": group.get_total_rewards(),
        "advantages": compute_advantages([group])[0].tolist(),
        "metrics": group.metrics_G,
    }
    print(json.dumps(told))
