"""Stand-ins for the trainers' modules that adapters import, and one group sent through each adapter
as its trainer would. tests/trainers has the tests with the trainers themselves."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from darling_client import AsyncClient, Client
from darling_client.trainers import areal, art, slime, verifiers
from darling_client.trainers.skyrl import DarlingGenerator
from darling_client.trainers.trl import DarlingReward

NEMO_RL = Path(__file__).parents[1] / "trainers/shapes"
PROMPT = "Name a place."
Judge = Callable[[str], Any]
"""What a quality function returns for a text."""


class Letters:
    """A tokenizer whose tokens are characters."""

    eos_token, pad_token = None, None

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        return "".join(map(chr, ids))


def letters(text: str) -> list[int]:
    return list(map(ord, text))


def logprobs(text: str) -> list[float]:
    """A log-probability for each letter, as an engine has one for each token."""
    return [-ord(letter) / 100 for letter in text]


class Config(dict[str, Any]):
    """Settings as attributes and items, as OmegaConf's."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class SingleTurnAgentExecutor:
    """OpenRLHF's: a response of the engine behind the prompt."""

    def __init__(self, remote_rm_url: Any = None) -> None:
        pass

    async def execute(self, prompt: str, label: Any, *more: Any) -> dict[str, Any]:
        response = more[3]  # the engine says what it is told
        await asyncio.sleep(0)
        return {
            "observation_tokens": letters(prompt + response),
            "action_ranges": [(len(prompt), len(prompt) + len(response))],
            "rollout_log_probs": [0.0] * len(prompt) + logprobs(response),
            "reward": None,
            "scores": None,
            "extra_logs": {},
        }


class ORM:
    """ms-swift's."""

    def __init__(self, args: Any = None, **more: Any) -> None:
        pass


class NaiveRewardManager:
    """verl's: the response's text to `compute_score`."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any, **more: Any) -> None:
        self.config, self.tokenizer, self.compute_score = config, tokenizer, compute_score

    async def run_single(self, data: Any) -> dict[str, Any]:
        score = self.compute_score(self.tokenizer.decode(data[-1].batch["responses"].tolist()))
        about = score if isinstance(score, dict) else {"score": score}
        return {"reward_score": about["score"], "reward_extra_info": about}


class BestOfNEnv:
    """verifiers': its `run` has made the traces of an episode."""

    def __init__(self, config: Any) -> None:
        self.config = config

    async def start(self) -> None: ...

    async def finalize(self, task: Any, episode: Any) -> None: ...


class OmegaConf:
    create = Config

    @staticmethod
    def to_container(config: Any, resolve: bool) -> dict[str, Any]:
        return dict(config)


STAND_INS: dict[str, dict[str, Any]] = {
    "openrlhf.utils.agent": {"SingleTurnAgentExecutor": SingleTurnAgentExecutor},
    "swift.rewards": {"ORM": ORM},
    "omegaconf": {"OmegaConf": OmegaConf},
    "tinker_cookbook.rl.types": {"EnvGroupBuilder": object, "RLDataset": object},
    "verifiers.v1.envs.best_of_n": {"BestOfNEnv": BestOfNEnv},
    "verl.experimental.reward_loop.reward_manager.naive": {
        "NaiveRewardManager": NaiveRewardManager
    },
}


@contextmanager
def stand_ins() -> Iterator[None]:
    """The trainers' modules can be imported as long as this lasts."""
    modules: dict[str, ModuleType] = {}
    for name, contents in STAND_INS.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            modules.setdefault(".".join(parts[:end]), ModuleType(parts[end - 1]))
        vars(modules[name]).update(contents)
    with patch.dict(sys.modules, modules), patch.object(sys, "path", [*sys.path, str(NEMO_RL)]):
        yield


def trl(url: str, judge: Judge, texts: list[str], **params: Any) -> Any:
    def quality(completions: list[str], **columns: Any) -> list[Any]:
        return [judge(text) for text in completions]

    with Client(url) as client:
        reward = DarlingReward(quality, len(texts), client=client, **params)
        state = SimpleNamespace(global_step=3)
        return reward([PROMPT] * len(texts), texts, trainer_state=state)


def swift(url: str, judge: Judge, texts: list[str], **params: Any) -> Any:
    from darling_client.trainers.swift import darling_orm

    def quality(completions: list[str], **columns: Any) -> list[Any]:
        return [judge(text) for text in completions]

    ask = {"role": "user", "content": PROMPT}
    with Client(url) as client:
        orm = darling_orm(quality, client=client, **params)
        reward = orm(args=SimpleNamespace(num_generations=len(texts)))
        messages = [[ask, {"role": "assistant", "content": text}] for text in texts]
        return reward(texts, messages=messages, trainer_state=SimpleNamespace(global_step=3))


def nemo_rl(url: str, judge: Judge, texts: list[str], **params: Any) -> Any:
    from darling_client.trainers.nemo_rl import environment

    with Client(url) as client:
        kind = environment(lambda log, about: judge(log[-1]["content"]), client=client, **params)
        logs = [
            [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": text}]
            for text in texts
        ]
        return kind().step(logs, [{}] * len(texts)).rewards.tolist()


def _asynchronous(
    send: Callable[..., Any],
) -> Callable[..., Any]:
    """An adapter whose function is awaited, with a client of its own."""

    def adapter(url: str, judge: Judge, texts: list[str], **params: Any) -> Any:
        async def main() -> Any:
            async with AsyncClient(url) as client:
                return await send(client, judge, texts, params)

        return asyncio.run(main())

    adapter.__name__ = send.__name__
    return adapter


@_asynchronous
async def slime_group(client: AsyncClient, judge: Judge, texts: list[str], params: Any) -> Any:
    reward = slime.group_reward(lambda one: judge(one.response), client=client, **params)
    samples = [
        SimpleNamespace(
            prompt=PROMPT,
            response=text,
            metadata=None,
            group_index=7,
            rollout_log_probs=[*logprobs(text), 0.0],
            loss_mask=[1] * len(text) + [0],
        )
        for text in texts
    ]
    return await reward(SimpleNamespace(rollout_batch_size=2), samples)


@_asynchronous
async def areal_group(client: AsyncClient, judge: Judge, texts: list[str], params: Any) -> Any:
    reward = areal.group_reward(lambda p, text, *ids: judge(text), client=client, **params)
    return await reward(PROMPT, texts, {}, step=3)


@_asynchronous
async def verifiers_group(client: AsyncClient, judge: Judge, texts: list[str], params: Any) -> Any:
    reward = verifiers.group_reward(lambda completion: judge(completion), client=client, **params)
    nothing = [None] * len(texts)
    return await reward([PROMPT] * len(texts), texts, nothing, nothing, nothing, nothing)


class Trace:
    """verifiers' record of an attempt, from 0.4 on."""

    ok, root_reply, num_turns, num_branches = True, None, 1, 1

    def __init__(self, text: str) -> None:
        ask = SimpleNamespace(sampled=False, message=_ask()[0], logprobs=[])
        reply = {"role": "assistant", "content": text}
        self.nodes = [
            ask,
            SimpleNamespace(sampled=True, message=reply, logprobs=logprobs(text)),
        ]
        self.branches = [SimpleNamespace(nodes=self.nodes)]
        self.rewards = {"task": 0.5}
        self.metrics: dict[str, float] = {}

    @property
    def reward(self) -> float:
        return sum(self.rewards.values())

    def record_reward(self, name: str, value: float) -> None:
        self.rewards[name] = value

    def record_metrics(self, values: dict[str, float]) -> None:
        self.metrics |= values


@_asynchronous
async def verifiers_v1(client: AsyncClient, judge: Judge, texts: list[str], params: Any) -> Any:
    from darling_client.trainers.verifiers_v1 import DarlingEnv

    class Env(DarlingEnv):
        darling_client = client
        darling_params = params

        def darling_quality(self, task: Any, trace: Any) -> Any:
            return judge(trace.nodes[-1].message["content"])

    traces = [Trace(text) for text in texts]
    await Env(None).finalize(None, SimpleNamespace(traces=traces))
    return [trace.reward for trace in traces]


@_asynchronous
async def art_group(client: AsyncClient, judge: Judge, texts: list[str], params: Any) -> Any:
    def trajectory(text: str) -> Any:
        message = SimpleNamespace(role="assistant", content=text)
        tokens = [SimpleNamespace(logprob=value) for value in logprobs(text)]
        choice = SimpleNamespace(message=message, logprobs=SimpleNamespace(content=tokens))
        return SimpleNamespace(messages_and_choices=[*_ask(), choice], reward=0.5, metrics={})

    def quality(one: Any) -> Any:
        return judge(one.messages_and_choices[-1].message.content)

    reward = art.group_reward(quality, client=client, **params)
    group = SimpleNamespace(trajectories=list(map(trajectory, texts)))
    return [one.reward for one in (await reward(group)).trajectories]


class GroupBuilder:
    """tinker-cookbook's, with a reward of its own for the group."""

    async def compute_group_rewards(self, trajectories: Any, envs: Any) -> Any:
        return [(0.25, {"own": 1}) for _ in trajectories]


@_asynchronous
async def tinker_group(client: AsyncClient, judge: Judge, texts: list[str], params: Any) -> Any:
    from darling_client.trainers.tinker_cookbook import DarlingDataset

    def trajectory(text: str) -> Any:
        ask = SimpleNamespace(chunks=[SimpleNamespace(tokens=letters(PROMPT))])
        action = SimpleNamespace(tokens=letters(text), maybe_logprobs=logprobs(text))
        return SimpleNamespace(transitions=[SimpleNamespace(ob=ask, ac=action, reward=0.5)])

    def quality(reward: float, one: Any, env: Any) -> Any:
        assert reward == 0.75
        return judge(Letters().decode(one.transitions[0].ac.tokens))

    batches = SimpleNamespace(get_batch=lambda index: [GroupBuilder()])
    (builder,) = DarlingDataset(batches, quality, client=client, **params).get_batch(3)
    env = SimpleNamespace(renderer=SimpleNamespace(tokenizer=Letters()))
    rewards = await builder.compute_group_rewards(list(map(trajectory, texts)), [env] * len(texts))
    return [0.5 + reward for reward, _ in rewards]


@_asynchronous
async def openrlhf(client: AsyncClient, judge: Judge, texts: list[str], params: Any) -> Any:
    from darling_client.trainers.openrlhf import agent_executor

    kind = agent_executor(lambda prompt, text, label: judge(text), client=client, **params)
    executor = kind()
    outputs = await asyncio.gather(
        *(executor.execute(PROMPT, None, None, 512, Letters(), text) for text in texts)
    )
    return [output["reward"] for output in outputs]


@_asynchronous
async def skyrl(client: AsyncClient, judge: Judge, texts: list[str], params: Any) -> Any:
    class Engine:
        tokenizer = Letters()

        async def generate(self, input_batch: Any) -> Any:
            return {
                "rewards": [0.0] * len(texts),
                "response_ids": list(map(letters, texts)),
                "rollout_logprobs": list(map(logprobs, texts)),
                "rollout_metrics": {"generate/own": 1.0},
            }

    class Generator(DarlingGenerator, Engine):
        darling_client = client
        darling_params = params

        def darling_quality(self, reward: float, response: Any, extras: Any) -> Any:
            return judge(response)

    size = len(texts)
    output = await Generator().generate(
        {
            "prompts": [PROMPT] * size,
            "env_extras": [{}] * size,
            "trajectory_ids": [
                SimpleNamespace(instance_id="one", repetition_id=i) for i in range(size)
            ],
            "batch_metadata": SimpleNamespace(training_phase="train", global_step=3),
        }
    )
    assert output["rollout_metrics"]["generate/own"] == 1.0
    assert 1 <= output["rollout_metrics"]["darling/avg_num_classes"] <= size
    return output["rewards"]


def verl_config(size: int, **darling: Any) -> Config:
    rollout = Config(n=size, val_kwargs=Config(n=1))
    return Config(
        reward=Config(darling=Config(darling)),
        trainer=Config(experiment_name="exp"),
        algorithm=Config(adv_estimator="grpo", norm_adv_by_std_in_grpo=False),
        actor_rollout_ref=Config(rollout=rollout),
    )


def verl(url: str, judge: Judge, texts: list[str], **params: Any) -> Any:
    from darling_client.trainers.verl import DarlingRewardManager

    def compute_score(text: str) -> Any:
        value = judge(text)
        # verl's name for the quality.
        if not isinstance(value, dict):
            return value
        score = value.get("quality", float(value.get("correct") is True))
        return {"score": score, **{name: v for name, v in value.items() if name != "quality"}}

    def item(member: int, text: str) -> Any:
        columns = {"uid": PROMPT, "session_id": member, "raw_prompt": _ask(), "global_steps": 3}
        tokens = torch.tensor(letters(text))
        batch = {"responses": tokens, "attention_mask": torch.ones(len(text), dtype=torch.int64)}
        return SimpleNamespace(batch=batch, non_tensor_batch=columns)

    async def main() -> Any:
        config = verl_config(len(texts), url=url, **params)
        manager = DarlingRewardManager(config, Letters(), compute_score)
        async with manager._client:
            results = await asyncio.gather(
                *(manager.run_single([item(i, text)]) for i, text in enumerate(texts))
            )
        return [result["reward_score"] for result in results]

    return asyncio.run(main())


def _ask() -> list[dict[str, str]]:
    return [{"role": "user", "content": PROMPT}]


ADAPTERS: dict[str, Callable[..., Any]] = {
    "trl": trl,
    "swift": swift,
    "nemo_rl": nemo_rl,
    "slime": slime_group,
    "areal": areal_group,
    "verifiers": verifiers_group,
    "verifiers_v1": verifiers_v1,
    "art": art_group,
    "tinker_cookbook": tinker_group,
    "openrlhf": openrlhf,
    "skyrl": skyrl,
    "verl": verl,
}
"""Each sends one group, and returns what its trainer gets for every rollout."""
MAY_BE_UNCENTERED = {"slime", "areal"}
TELL_LOGPROBS = {"slime", "openrlhf", "skyrl", "verifiers_v1", "art", "tinker_cookbook"}
"""Trainers that have the log-probabilities of a rollout's tokens."""
