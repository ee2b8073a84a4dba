"""Compares the cost of one group for the embedded classifier and for DeBERTa-v3-large.

    python -m benchmarks.classifier_cost [--rollouts 8] [--words 400] [--peer-pairs 2] [--rounds 5]

The peer is the published NoveltyBench classifier's architecture from its public configuration,
with random weights, on every pair of the group, at 512 tokens a side (DARLING's copy) and at 128
(NoveltyBench's). Its cost per pair does not depend on the weights, so only `--peer-pairs` pairs
are run and the figure is multiplied. Operations are counted in the matrix products of both models
as run, padding included. The operations of our pair features, which are NumPy, are in the CPU
seconds only.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

from benchmarks.machine import operations
from darling_models.evaluation.lengthen import neutral_sentences
from darling_models.protocol import EquivalenceClassifier, Result, all_pairs
from darling_models.registry import load

PROMPT = "Tell me about a village by a river."
SIDES = (512, 128)
DEBERTA_V3_LARGE: dict[str, Any] = {
    "vocab_size": 128100,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 512,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "num_labels": 2,
}
"""The configuration in `config.json` of microsoft/deberta-v3-large."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--peer-pairs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    texts = [" ".join(neutral_sentences(given.words, seed)) for seed in range(given.rollouts)]
    pairs = len(all_pairs(given.rollouts))
    ours = load("embedded")
    peer = DebertaV2ForSequenceClassification(DebertaV2Config.from_dict(DEBERTA_V3_LARGE))
    peer.train(False).requires_grad_(False)  # torch's counter stumbles over gradients
    figures = {
        "embedded": measured(lambda: classified(ours, texts), given.rounds),
    }
    tokens = sum(result.tokens for result in classified(ours, texts))
    for side in SIDES:
        ids = torch.randint(1000, 128000, (1, min(side, tokens // len(texts)) * 2 + 3))
        one = measured(partial(forward, peer, ids, given.peer_pairs), given.rounds)
        scale = pairs / given.peer_pairs
        figures[f"DeBERTa-v3-large, {side} tokens a side"] = {
            name: value * scale for name, value in one.items()
        }
    print(
        f"{given.rollouts} rollouts x {given.words} words, {tokens} tokens read by ours, {pairs} "
        f"pairs, {os.cpu_count()} cores, medians of {given.rounds}"
    )
    base = figures["embedded"]
    for name, row in figures.items():
        print(
            f"{name:40s} {row['tflop']:8.3f} TFLOP {row['cpu_s']:8.2f} CPU s "
            f"{row['wall_s']:8.2f} s | x {row['tflop'] / base['tflop']:6.1f} "
            f"x {row['cpu_s'] / base['cpu_s']:6.1f} x {row['wall_s'] / base['wall_s']:6.1f}"
        )
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def classified(model: EquivalenceClassifier, texts: list[str]) -> Sequence[Result]:
    """Runs the model on a whole group through its public methods, and returns its results."""
    pairs = all_pairs(len(texts))
    plan = model.plan(PROMPT, texts, pairs)
    results = model.run(plan.units)
    by_key = {unit.key: result for unit, result in zip(plan.units, results, strict=True)}
    model.probabilities(PROMPT, texts, pairs, by_key)
    return results


def forward(model: torch.nn.Module, ids: torch.Tensor, times: int) -> None:
    with torch.inference_mode():
        for _ in range(times):
            model(input_ids=ids, attention_mask=torch.ones_like(ids))


def measured(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Operations of one call, and median CPU and wall seconds of calls after the first."""
    tflop = operations(work) / 1e12
    cpu, wall = [], []
    for _ in range(rounds):
        started, ran = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - ran)
    return {
        "tflop": tflop,
        "cpu_s": float(median(cpu)),
        "wall_s": float(median(wall)),
    }


if __name__ == "__main__":
    main()
