"""Compares a decoder that reads the shared text of pairs once with one that reads whole pairs.

    python -m benchmarks.shared_prefix [--rollouts 8] [--words 400] [--rounds 5]

The model is a Qwen3 of six layers and width 512 with random weights, which cost what trained ones
do. Both run the same new groups, and the figures are CPU seconds.
"""

import argparse
import time
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForSequenceClassification

from benchmarks.figures import Figure, ratio
from benchmarks.peers import judged
from benchmarks.workloads import Workload
from darling_models.cross_encoder.classifier import CrossEncoder
from darling_models.embedded.encoder import wheel_weights
from darling_models.options import ModelOptions

SIZE: dict[str, Any] = {
    "hidden_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "intermediate_size": 1536,
    "num_labels": 2,
}
TEMPLATE = "{a}[SEP]{b}[SEP]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    make: Any = Qwen3ForSequenceClassification
    with TemporaryDirectory() as folder:
        tokenizer = AutoTokenizer.from_pretrained(wheel_weights())
        tokenizer.model_max_length = 8192
        tokenizer.save_pretrained(folder)
        torch.manual_seed(0)
        config = Qwen3Config(vocab_size=len(tokenizer), pad_token_id=0, **SIZE)
        make(config).save_pretrained(folder)
        contenders = {
            "whole pairs": CrossEncoder(
                folder, ModelOptions(pair_template=TEMPLATE, runtime="tiles")
            ),
            "shared once": CrossEncoder(
                folder, ModelOptions(pair_template=TEMPLATE, runtime="float32")
            ),
        }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(given.rounds + 1):
        group = Workload(given.rollouts, given.words).group()
        for name, classifier in contenders.items():
            started = time.process_time()
            judged(classifier, group)
            if turn:  # the first does not count
                seconds[name].append(time.process_time() - started)
    for name, taken in seconds.items():
        print(f"{name:20s} {Figure.of(taken, 'CPU s a group')}")
    print(f"{'whole / shared':20s} {ratio(seconds['whole pairs'], seconds['shared once'])}")


if __name__ == "__main__":
    main()
