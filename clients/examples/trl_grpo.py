"""A GRPO run of TRL on a CPU, with rewards from the service, at some seconds per step.

    pip install trl ./clients/python
    python clients/examples/trl_grpo.py --steps 20
    torchrun --nproc-per-node 2 clients/examples/trl_grpo.py --per-device 6

The environment variable `DARLING_URL` names another service than http://127.0.0.1:8000. The last
line runs two ranks, with a group and a half on each. The policy is a new transformer of one layer,
and `quality` rewards the names of colours. With a real model the reward is used in the same way.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed
from trl import GRPOConfig, GRPOTrainer

from darling_client.trainers.trl import DarlingReward

COLOURS = ["blue", "red", "green", "yellow", "violet", "white"]
WORDS = ["<pad>", "<eos>", "<unk>", *COLOURS, "name", "a", "colour", "not", "like", "stone", "wind"]
PROMPTS = ["name a colour", "name a colour not like wind", "a colour like stone"]


def quality(completions: Sequence[str], **columns: Any) -> list[float]:
    """The share of a completion's words that are colours."""
    return [
        sum(word in COLOURS for word in completion.split()) / max(len(completion.split()), 1)
        for completion in completions
    ]


def policy() -> tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast]:
    """An untrained transformer of one layer, and its tokenizer of a few words."""
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    config = Qwen2Config(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    return Qwen2ForCausalLM(config), tokenizer


def train(reward: Callable[..., Any], output: str, steps: int, per_device: int, n: int) -> Any:
    """Returns the trainer after its steps."""
    set_seed(0)
    model, tokenizer = policy()
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=reward,
        train_dataset=Dataset.from_dict({"prompt": PROMPTS * 8}),
        eval_dataset=Dataset.from_dict({"prompt": PROMPTS[:2]}),
        args=GRPOConfig(
            output_dir=output,
            num_generations=n,
            num_generations_eval=1,
            scale_rewards="none",  # DARLING's advantage: reward - group mean
            loss_type="dapo",  # DARLING's loss: the mean over the tokens of a batch
            per_device_train_batch_size=per_device,
            per_device_eval_batch_size=2,
            gradient_accumulation_steps=1,
            steps_per_generation=1,
            max_completion_length=3,
            max_steps=steps,
            learning_rate=1e-2,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
        ),
    )
    trainer.train()
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument(
        "--per-device",
        type=int,
        default=8,
        help="completions of a step on each rank; those of all ranks together make whole groups",
    )
    parser.add_argument("--num-generations", type=int, default=4, help="completions of a group")
    parser.add_argument("--output", default="build/trl")
    arguments = parser.parse_args()
    n = arguments.num_generations
    reward = DarlingReward(quality, num_generations=n, num_generations_eval=1, run="trl-example")
    trainer = train(reward, arguments.output, arguments.steps, arguments.per_device, n)
    if trainer.accelerator.is_main_process:
        names = ("reward", "darling/quality", "darling/diversity", "darling/num_classes")
        for metrics in trainer.state.log_history:
            if "reward" in metrics:
                print({name: round(float(metrics[name]), 3) for name in names})
    trainer.accelerator.end_training()
    # PyTorch waits for the threads of the process group as Python ends, and hangs if one has yet to
    # let go of the last result, for which it needs Python.
    time.sleep(1)


if __name__ == "__main__":
    main()
