"""Rollouts through OpenRLHF's own executors and an engine that says what it is told.

    openrlhf_rollouts.py http URL < [[prompt, label, response], ...]   the package's HTTP client
    openrlhf_rollouts.py agent FILE < ...                             the file's AgentExecutor

Each prompt's rollouts run as one gather, as `generate_responses` of the package runs them.
"""

import asyncio
import importlib.util
import json
import random
import sys
from types import SimpleNamespace
from typing import Any

import torch
from openrlhf.trainer.ppo_utils.experience import Experience
from openrlhf.utils.agent import AgentExecutorBase, SingleTurnAgentExecutor
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

Rollout = tuple[str, str | None, str]
NAMES = ("reward", "scores", "extra_logs")


def tokenizer(groups: list[list[Rollout]]) -> PreTrainedTokenizerFast:
    words = {w for group in groups for p, _, r in group for w in f"{p} {r}".split()}
    vocabulary = {w: i for i, w in enumerate(["<pad>", "<unk>", "<eos>", *sorted(words)])}
    model = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=model, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>"
    )


class Engine:
    """Answers after a moment of its own, so that siblings end in any order."""

    def __init__(self, tokens: Any, response: str) -> None:
        self._ids = [*tokens(response)["input_ids"], tokens.eos_token_id]

    async def generate(self, *given: Any, **more: Any) -> Any:
        await asyncio.sleep(random.random() / 10)
        said = SimpleNamespace(token_ids=self._ids, finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[said])


def executor(kind: str, target: str) -> Any:
    if kind == "http":
        return SingleTurnAgentExecutor(target)
    spec = importlib.util.spec_from_file_location("agent_module", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert issubclass(module.AgentExecutor, AgentExecutorBase)
    return module.AgentExecutor()


async def executed(runs: Any, groups: list[list[Rollout]]) -> list[list[dict[str, Any]]]:
    """What the executor says to each rollout of each group."""
    tokens = tokenizer(groups)
    sampling = SimpleNamespace(max_tokens=64, logprobs=None)

    async def prompt(group: list[Rollout]) -> Any:
        return await asyncio.gather(
            *(
                runs.execute(said, label, sampling, 512, tokens, Engine(tokens, response))
                for said, label, response in group
            )
        )

    outputs = await asyncio.gather(*map(prompt, groups))
    return [[{name: output[name] for name in NAMES} for output in group] for group in outputs]


async def main() -> None:
    told = await executed(executor(*sys.argv[1:3]), json.loads(sys.stdin.read()))
    experiences = [
        Experience(
            rewards=torch.tensor([output["reward"]]),
            scores=torch.tensor([output["scores"]]),
            info={k: torch.tensor([float(v)]) for k, v in output["extra_logs"].items()},
        )
        for group in told
        for output in group
    ]
    joined = Experience.concat_experiences(experiences, pad_token_id=0)
    print()
    print(json.dumps({"told": told, "rewards": joined.rewards.flatten().tolist()}))


if __name__ == "__main__":
    asyncio.run(main())
