"""Rollouts through SkyRL's own generator and skyrl-gym, with an engine that says what it is told.

    skyrl_rollouts.py < [[uid, response], ...]

Prints the rewards of a training batch, of the same batch with a reward per step, and of evaluation.
"""

import asyncio
import json
import sys
import typing
from typing import Any

import typing_extensions

# skyrl 0.3.0 is for Python 3.11, but pydantic there takes no TypedDict of typing's.
typing.TypedDict = typing_extensions.TypedDict

import skyrl_gym  # noqa: E402
from skyrl.train.config import GeneratorConfig, SkyRLGymConfig  # noqa: E402
from skyrl.train.generators.base import BatchMetadata, TrajectoryID  # noqa: E402
from skyrl.train.generators.skyrl_gym_generator import SkyRLGymGenerator  # noqa: E402
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

from darling_client import AsyncClient  # noqa: E402
from darling_client.trainers.skyrl import DarlingGenerator  # noqa: E402

Rollout = tuple[str, str]
PROMPT = [{"role": "user", "content": "say something about a sea"}]
TEMPLATE = "{% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' <eos> ' }}{% endfor %}"


class Blue(BaseTextEnv):  # type: ignore[misc]
    """One turn, or two with the same answer where the generator allows for two."""

    def __init__(self, env_config: Any, extras: dict[str, Any]) -> None:
        super().__init__()
        self.max_turns = extras["max_turns"]

    def step(self, action: str) -> BaseTextEnvStepOutput:
        self.turns += 1
        done = self.turns == self.max_turns
        reward = 0.25 + 0.75 * float("blue" in action) if done else 0.125
        said = [] if done else [{"role": "user", "content": "and"}]
        return BaseTextEnvStepOutput(observations=said, reward=reward, done=done, metadata={})


skyrl_gym.register(id="blue", entry_point=Blue)


class Generator(DarlingGenerator, SkyRLGymGenerator):  # type: ignore[misc]
    pass


class Engine:
    """Knows by the session whose turn it is."""

    def __init__(self, tokens: Any, texts: dict[str, str]) -> None:
        self._tokens, self._texts = tokens, texts

    async def generate(self, given: Any, **more: Any) -> dict[str, Any]:
        (session,) = given["session_ids"]
        text = self._texts[session]
        ids = [*self._tokens(text)["input_ids"], self._tokens.eos_token_id]
        return {"responses": [text], "response_ids": [ids], "stop_reasons": ["stop"]}

    async def finish_session(self, session: str) -> None:
        pass


def tokenizer(rollouts: list[Rollout]) -> PreTrainedTokenizerFast:
    said = " ".join([*(text for _, text in rollouts), PROMPT[0]["content"], "user assistant and"])
    vocabulary = ["<pad>", "<unk>", "<eos>", *sorted(set(said.split()))]
    model = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokens = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=model, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>"
    )
    tokens.chat_template = TEMPLATE
    return tokens


async def generated(
    client: AsyncClient, rollouts: list[Rollout], phase: str = "train", turns: int = 1
) -> Any:
    """The rewards of the generator's output; of each step where there are `turns`."""
    members: dict[str, int] = {}
    ids = []
    for uid, _ in rollouts:
        ids.append(TrajectoryID(uid, members.setdefault(uid, 0)))
        members[uid] += 1
    tokens = tokenizer(rollouts)
    texts = {one.to_string(): text for one, (_, text) in zip(ids, rollouts, strict=True)}
    generator = Generator(
        GeneratorConfig(max_turns=turns, max_input_length=512, step_wise_trajectories=turns > 1),
        SkyRLGymConfig(max_env_workers=0),
        Engine(tokens, texts),
        tokens,
    )
    generator.darling_client = client
    output = await generator.generate(
        {
            "prompts": [PROMPT] * len(rollouts),
            "env_classes": ["blue"] * len(rollouts),
            "env_extras": [{} for _ in rollouts],
            "sampling_params": None,
            "trajectory_ids": ids,
            "batch_metadata": BatchMetadata(global_step=1, training_phase=phase),
        }
    )
    return output["rewards"]


async def main(rollouts: list[Rollout]) -> None:
    async with AsyncClient() as client:
        told = {
            "training": await generated(client, rollouts),
            "steps": await generated(client, rollouts, turns=2),
            "evaluation": await generated(client, rollouts, phase="eval"),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.read())))
