"""Steps of the NeMo-RL environment in an actor of ray, as the trainer makes and steps it.

    nemo_rl_step.py < [[prompt, response], ...]

Prints the rewards of the batch, of its validation, and what comes of a rollout by itself.
"""

import json
import os
import sys
from typing import Any

import ray
import torch

from darling_client import Client
from darling_client.trainers.nemo_rl import environment

Rollout = tuple[str, str]


def quality(messages: Any, metadata: Any) -> float:
    return 0.25 + 0.75 * float(metadata["wanted"] in messages[-1]["content"])


def batch(rollouts: list[Rollout]) -> tuple[list[Any], list[Any]]:
    logs = [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        for prompt, response in rollouts
    ]
    return logs, [{"wanted": "blue"} for _ in rollouts]


def rewards(result: Any, size: int) -> list[float]:
    """As `calculate_rewards` takes a step's return apart, row by row."""
    observations, metadata, stops, rewarded, terminateds, answers = result
    assert [len(column) for column in (observations, metadata, stops, answers)] == [size] * 4
    assert all(set(said) == {"role", "content"} for said in observations)
    assert torch.tensor([terminateds[row] for row in range(size)]).bool().all()
    stacked: list[float] = torch.stack([rewarded[row] for row in range(size)]).tolist()
    return stacked


def stepped(client: Client, rollouts: list[Rollout]) -> list[float]:
    """A step in this process."""
    step = environment(quality, client=client)().step(*batch(rollouts))
    return rewards(step, len(rollouts))


def main() -> None:
    rollouts: list[Rollout] = json.loads(sys.stdin.read())
    ray.init("local", num_cpus=1, include_dashboard=False, configure_logging=False)

    def actor(kind: type) -> Any:
        settings = {"py_executable": sys.executable, "env_vars": dict(os.environ)}
        return ray.remote(kind).options(runtime_env=settings, num_cpus=0).remote({"num_workers": 1})

    training = actor(environment(quality))
    validation = actor(environment(quality, validation=True))
    told: dict[str, Any] = {
        "training": rewards(ray.get(training.step.remote(*batch(rollouts))), len(rollouts)),
        "validation": rewards(ray.get(validation.step.remote(*batch(rollouts))), len(rollouts)),
    }
    try:
        ray.get(training.step.remote(*batch(rollouts[:1])))
    except ValueError as error:
        told["alone"] = str(error)
    print()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
