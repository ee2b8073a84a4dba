"""The policy: a Llama of 0.34 million parameters, its tokenizer, and its warm-up."""

import random
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

from benchmarks.headline.countdown import MOST, TARGETS, Problem
from benchmarks.headline.demonstrations import Demonstrator

LENGTH = 2 * MOST
"""Most tokens of a completion: numbers, the operators between them, and the end."""
WORDS = ["<pad>", "<eos>", "<unk>", "+", "-", "*", "=", ":", *map(str, TARGETS)]


def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
    )


def untrained(width: int, layers: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=32,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config)


def warmed(
    problems: Sequence[Problem],
    demonstrator: Demonstrator,
    *,
    seed: int,
    width: int,
    layers: int,
    steps: int,
    batch: int,
    rate: float = 2e-3,
) -> LlamaForCausalLM:
    """A policy trained on `batch` new demonstrations per step (AdamW, cosine rate down to 0)."""
    set_seed(seed)
    source = random.Random(seed)
    words, model = tokenizer(), untrained(width, layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        shown = source.choices(problems, k=batch)
        texts = [f"{p.prompt} {demonstrator.answer(p, source)} <eos>" for p in shown]
        inputs: Any = words(texts, return_tensors="pt", padding=True, padding_side="right")
        labels = inputs["input_ids"].clone()
        labels[:, : len(shown[0].prompt.split())] = -100
        labels[inputs["attention_mask"] == 0] = -100
        loss = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], labels=labels
        ).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


@torch.inference_mode()
def sampled(model: Any, prompts: Sequence[str], n: int, rows: int = 2048) -> list[list[str]]:
    """n completions of each prompt, at temperature 1; all prompts must have the same length."""
    words = tokenizer()
    every = [prompt for prompt in prompts for _ in range(n)]
    texts: list[str] = []
    for start in range(0, len(every), rows):
        inputs: Any = words(every[start : start + rows], return_tensors="pt")
        found = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            do_sample=True,
            top_k=0,
            top_p=1.0,
            max_new_tokens=LENGTH,
        )
        said = found[:, inputs["input_ids"].shape[1] :]
        texts += words.batch_decode(said, skip_special_tokens=True)
    return [texts[i : i + n] for i in range(0, len(texts), n)]
