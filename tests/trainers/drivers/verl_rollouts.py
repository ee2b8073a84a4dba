"""Rollouts through verl's own loading of a reward manager, in a process for each worker.

    verl_rollouts.py EXAMPLES [OVERRIDE ...]

Reads the workers' rollouts, `[[[uid, session, text], ...], ...]`, and prints in the same shape what
`run_single` says to each.
"""

import asyncio
import json
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import verl
from hydra import compose, initialize_config_dir
from tensordict import TensorDict
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager

import darling_client.trainers.verl  # noqa: F401  # both imported before forking

N, PROMPT = 8, "say something about a sea"
Rollout = tuple[str, int, str]


def tokenizer(rollouts: list[Rollout]) -> PreTrainedTokenizerFast:
    said = {word for _, _, text in rollouts for word in f"{PROMPT} {text}".split()}
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<unk>", *sorted(said)])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>"
    )


def trajectory(tokens: Any, uid: str, session: int, text: str, split: str) -> DataProto:
    """As the agent loop makes it: one row, the prompt and the response padded."""
    prompt, response = tokens(PROMPT)["input_ids"], tokens(text)["input_ids"]
    width = 16
    mask = [1] * len(prompt) + [1] * len(response) + [0] * (width - len(response))
    batch = TensorDict(
        {
            "prompts": torch.tensor([prompt]),
            "responses": torch.tensor([response + [0] * (width - len(response))]),
            "attention_mask": torch.tensor([mask]),
        },
        batch_size=1,
    )
    about: dict[str, Any] = {
        "uid": uid,
        "session_id": session,
        "raw_prompt": [{"role": "user", "content": PROMPT}],
        "data_source": "sea",
        "reward_model": {"ground_truth": "blue"},
        "extra_info": {"split": split},
    }
    columns = {name: np.empty(1, dtype=object) for name in about}
    for name, value in about.items():
        columns[name][0] = value
    return DataProto(batch=batch, non_tensor_batch=columns)


async def work(
    rollouts: list[Rollout], examples: Path, overrides: Sequence[str]
) -> list[dict[str, Any]]:
    """What `run_single` of the configured manager says to each."""
    package = Path(verl.__file__).parent / "trainer/config"
    with initialize_config_dir(str(package), version_base=None):
        config = compose(
            "ppo_trainer",
            overrides=[
                f"actor_rollout_ref.rollout.n={N}",
                f"reward.custom_reward_function.path={examples / 'verl_quality.py'}",
                "reward.reward_manager.source=importlib",
                "reward.reward_manager.name=DarlingRewardManager",
                "reward.reward_manager.module.path=pkg://darling_client.trainers.verl",
                *overrides,
            ],
        )
    tokens = tokenizer(rollouts)
    manager = load_reward_manager(config, tokens)
    asked = [
        manager.run_single(trajectory(tokens, uid, member, text, uid.partition("-")[0]))
        for uid, member, text in rollouts
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return [
        {"failed": f"{type(answer).__name__}: {answer}"}
        if isinstance(answer, BaseException)
        else answer
        for answer in answers
    ]


def worker(rollouts: list[Rollout], send: Any) -> None:
    send.send(asyncio.run(work(rollouts, Path(sys.argv[1]), sys.argv[2:])))


def main() -> None:
    # Forked, so that verl is imported once and not for a quarter of a minute in each.
    processes = multiprocessing.get_context("fork")
    receivers = []
    for rollouts in json.loads(sys.stdin.read()):
        receive, send = processes.Pipe(duplex=False)
        processes.Process(target=worker, args=(rollouts, send)).start()
        receivers.append(receive)
    print()
    print(json.dumps([receive.recv() for receive in receivers]))


if __name__ == "__main__":
    main()
