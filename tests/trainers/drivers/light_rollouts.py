"""Groups through packages that need no torch: light_rollouts.py KIND < [[prompt, response], ...].

verifiers: the example's rubric in the package's `score_group`. skyrl: environments of skyrl-gym,
registered, made and stepped by the package, behind the adapter's generator; the generator class it
extends here has the shape of SkyRL's documented output, as the trainer needs GPUs to install.
"""

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any

rollouts: list[tuple[str, str]] = json.loads(sys.stdin.read())


def by_verifiers() -> Any:
    import verifiers as vf
    from verifiers_rubric import rubric

    states = [
        vf.State(
            prompt=[{"role": "user", "content": prompt}],
            completion=[{"role": "assistant", "content": response}],
            answer="blue",
            task="default",
            info={},
            timing=None,
            trajectory=[],
        )
        for prompt, response in rollouts
    ]
    asyncio.run(rubric.score_group(states))
    return [{"reward": state["reward"], "advantage": state["advantage"]} for state in states]


def by_skyrl() -> Any:
    import skyrl_gym
    from darling_client.trainers.skyrl import DarlingGenerator
    from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput
    from skyrl_gym.envs.registration import register

    class Blue(BaseTextEnv):  # type: ignore[misc]
        def __init__(self, env_config: Any, extras: Any) -> None:
            super().__init__()

        def step(self, action: str) -> BaseTextEnvStepOutput:
            reward = 0.25 + 0.75 * float("blue" in action)
            return BaseTextEnvStepOutput(observations=[], reward=reward, done=True, metadata={})

    register(id="blue", entry_point=Blue)

    class Base:
        tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: " ".join(ids))

        async def generate(self, input_batch: dict[str, Any]) -> dict[str, Any]:
            environments = [skyrl_gym.make("blue", env_config={}, extras={}) for _ in rollouts]
            steps = [
                environment.step(response)
                for environment, (_, response) in zip(environments, rollouts, strict=True)
            ]
            return {
                "response_ids": [response.split() for _, response in rollouts],
                "rewards": [step["reward"] for step in steps],
            }

    class Generator(DarlingGenerator, Base):
        pass

    async def both() -> list[list[float]]:
        ids = [SimpleNamespace(instance_id=prompt) for prompt, _ in rollouts]
        batch: dict[str, Any] = {
            "prompts": [[{"role": "user", "content": prompt}] for prompt, _ in rollouts],
            "trajectory_ids": ids,
        }
        rewards = []
        for phase in ("train", "eval"):
            batch["batch_metadata"] = SimpleNamespace(training_phase=phase)
            rewards.append((await Generator().generate(batch))["rewards"])
        return rewards

    return asyncio.run(both())


print(json.dumps({"verifiers": by_verifiers, "skyrl": by_skyrl}[sys.argv[1]]()))
