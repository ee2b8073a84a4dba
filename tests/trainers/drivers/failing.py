"""A group through a trainer while its service misbehaves: a job a line, an answer a line.

    echo '{"trainer": "verl", "url": "http://127.0.0.1:8000", "patience_s": 60}' | failing.py

The answer says what the trainer makes of the group, `{"prompt", "texts", "quality", "rewards"}`
with None for no signal, or what it raises, `{"raised": "Overloaded: gave up ..."}`. Every job makes
its adapter and client anew; the trainer is imported once.
"""

import asyncio
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from darling_client import AsyncClient, Client

PROMPT = "say something about a sea"
TEXTS = ["the sea is blue", "the sea is blue", "cold deep water", "waves and wind"]
QUALITY = [1.0, 1.0, 0.25, 0.25]
N = len(TEXTS)
EXAMPLES = Path(__file__).parents[3] / "clients/examples"


class Job:
    """Where the service is, and how long to wait for it."""

    def __init__(self, url: str, patience_s: float) -> None:
        self.url, self.patience_s = url, patience_s

    def client(self) -> Client:
        return Client(self.url, patience_s=self.patience_s, connect_timeout_s=2)

    def async_client(self) -> AsyncClient:
        return AsyncClient(self.url, patience_s=self.patience_s, connect_timeout_s=2)


def trl(job: Job) -> dict[str, Any]:
    """A step of GRPOTrainer, whose own completions make the group."""
    from trl_grpo import quality, train

    from darling_client.trainers.trl import DarlingReward

    told: dict[str, Any] = {}

    def recorded(prompts: Any, completions: Any, **columns: Any) -> Any:
        rewards = reward(prompts, completions, **columns)
        judged = quality(completions)
        told.update(prompt=prompts[0], texts=completions, quality=judged, rewards=rewards)
        return rewards

    reward = DarlingReward(quality, num_generations=N, client=job.client())
    with tempfile.TemporaryDirectory() as output:
        train(recorded, output, steps=1, per_device=N, n=N)
    return told


def openrlhf(job: Job) -> list[float]:
    from openrlhf_agent import quality
    from openrlhf_rollouts import executed

    from darling_client.trainers.openrlhf import agent_executor

    executor = agent_executor(quality, client=job.async_client())()
    (told,) = asyncio.run(executed(executor, [[(PROMPT, "blue", text) for text in TEXTS]]))
    return [one["reward"] for one in told]


def openrlhf_http(job: Job) -> dict[str, Any]:
    """Without the adapter: the package's own client and patience; the quality is the service's."""
    from openrlhf_rollouts import executed, executor

    target = f"{job.url}/get_reward?n={N}&run={uuid.uuid4().hex}"
    group = [(PROMPT, "blue", text) for text in TEXTS]
    (told,) = asyncio.run(executed(executor("http", target), [group]))
    return {"quality": [1.0] * N, "rewards": [one["reward"] for one in told]}


def verl(job: Job) -> list[float]:
    from verl_rollouts import work

    overrides = [
        f"actor_rollout_ref.rollout.n={N}",
        f"+reward.darling.url={job.url}",
        f"+reward.darling.patience_s={job.patience_s}",
    ]
    uid = f"train-{uuid.uuid4().hex}"
    rollouts = [(uid, member, text) for member, text in enumerate(TEXTS)]
    told = asyncio.run(work(rollouts, EXAMPLES, overrides))
    for one in told:
        if "failed" in one:
            raise RuntimeError(one["failed"])
    return [one["reward_score"] for one in told]


def areal(job: Job) -> Any:
    from areal.api.reward_api import AsyncRewardWrapper
    from areal_group import quality

    from darling_client.trainers.areal import group_reward

    reward = group_reward(AsyncRewardWrapper(quality), client=job.async_client())
    return asyncio.run(_awaited(reward(PROMPT, TEXTS, {"answer": "blue"})))


def skyrl(job: Job) -> list[float]:
    from skyrl_rollouts import generated

    rollouts = [(PROMPT, text) for text in TEXTS]
    return [sum(reward) for reward in asyncio.run(generated(job.async_client(), rollouts))]


def swift(job: Job) -> Any:
    from swift_plugin import quality
    from swift_score import scored

    from darling_client.trainers.swift import darling_orm

    rows = [(PROMPT, text) for text in TEXTS]
    return scored(darling_orm(quality, client=job.client()), N, rows)


def verifiers(job: Job) -> list[float]:
    import verifiers as vf
    from verifiers_group import scored
    from verifiers_rubric import quality

    from darling_client.trainers.verifiers import group_reward

    rubric = vf.Rubric(funcs=[group_reward(quality, client=job.async_client())], weights=[1.0])
    return [one["reward"] for one in scored(rubric, [(PROMPT, text) for text in TEXTS])]


def verifiers_v1(job: Job) -> list[float]:
    """An episode of verifiers 0.4, which keeps the error that it failed with."""
    import darling_env
    from verifiers_v1_eval import evaluated

    darling_env.DarlingEnv.darling_client = job.async_client()
    with tempfile.TemporaryDirectory() as folder:
        episode = evaluated("darling-env", TEXTS, Path(folder))
    for error in episode["errors"]:
        raise RuntimeError(error["message"])
    return [
        sum(reward["score"] * reward["weight"] for reward in trace["rewards"].values())
        for trace in episode["traces"]
    ]


def tinker_cookbook(job: Job) -> Any:
    from tinker_group import rolled_out

    return rolled_out(TEXTS, job.async_client()).get_total_rewards()


def art(job: Job) -> list[float] | None:
    from art_group import gathered

    groups = asyncio.run(gathered([TEXTS], job.async_client()))
    rewards = [
        {one.messages()[-1]["content"]: one.reward for one in group.trajectories}
        for group in groups
    ]
    return [rewards[0][text] for text in TEXTS] if rewards else None


def nemo_rl(job: Job) -> Any:
    """The documented interface, as the package cannot be had."""
    from nemo_rl_step import stepped

    return stepped(job.client(), [(PROMPT, text) for text in TEXTS])


def slime(job: Job) -> list[float]:
    """slime is not on PyPI; its samples have these attributes."""
    from slime_rewards import quality

    from darling_client.trainers.slime import group_reward

    samples = [
        SimpleNamespace(prompt=PROMPT, response=text, label="blue", metadata=None) for text in TEXTS
    ]
    reward = group_reward(quality, client=job.async_client())
    return asyncio.run(reward(SimpleNamespace(reward_key=None), samples))


async def _awaited(given: Any) -> Any:
    return await given


FUNCTIONS: list[Callable[[Job], Any]] = [
    trl,
    openrlhf,
    openrlhf_http,
    verl,
    areal,
    skyrl,
    nemo_rl,
    swift,
    verifiers,
    verifiers_v1,
    tinker_cookbook,
    art,
    slime,
]
TRAINERS = {function.__name__: function for function in FUNCTIONS}


def answer(trainer: str, url: str, patience_s: float) -> dict[str, Any]:
    try:
        told = TRAINERS[trainer](Job(url, patience_s))
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}
    if not isinstance(told, dict):
        told = {"rewards": told}
    return {"prompt": PROMPT, "texts": TEXTS, "quality": QUALITY, **told}


def main() -> None:
    # Trainers print what they like; the answers have the pipe to themselves.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), file=pipe, flush=True)


if __name__ == "__main__":
    main()
