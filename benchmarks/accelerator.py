"""Compares our cross-encoder with its peers on a GPU, for models of three sizes.

    python -m benchmarks.accelerator [--device cuda] [--rounds 3] [--pairs 512] [--words 200]

The peers are padded Transformers batches and sentence-transformers' `CrossEncoder.predict`, which
sorts pairs by length first.

The architectures are those of the public configurations. Their weights are random, which cost what
trained ones do. Both sides run the same weights in the same precision on the same pairs of prose,
and tokenise them within the measured time. Operations are counted over pairs without padding, so
the share of the peak counts useful work only. The output is JSON that `benchmarks.compare` reads.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder as SentenceCrossEncoder
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from benchmarks import machine
from benchmarks.classifier_cost import DEBERTA_V3_LARGE
from benchmarks.figures import Figure, Figures, ratio, write
from benchmarks.machine import matmul_peak, operations
from benchmarks.workloads import Workload
from darling_models.cross_encoder.classifier import CrossEncoder
from darling_models.embedded.encoder import wheel_weights
from darling_models.options import ModelOptions, Runtime
from darling_models.pairs import pair_unit
from darling_models.protocol import FloatArray
from darling_models.runtime.precision import dtype_of

Pairs = Sequence[tuple[str, str]]
PEER_BATCH = 32
COUNTED_PAIRS = 16
PEAK_SECONDS = 0.5
"""Seconds that the matrix peak is measured before each round."""
GROUPS, ROLLOUTS = 256, 8
"""Groups, and rollouts of each, for which the time of all pairs is computed from the rate."""

SIZES: dict[str, dict[str, Any]] = {
    "MiniLM": {
        "model_type": "bert",
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "ModernBERT-base": {
        "model_type": "modernbert",
        "hidden_size": 768,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "intermediate_size": 1152,
        "max_position_embeddings": 8192,
    },
    "DeBERTa-v3-large": DEBERTA_V3_LARGE | {"model_type": "deberta-v2"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--words", type=int, default=200, help="of each text of a pair")
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--out", type=Path, default=Path("bench/accelerator.json"))
    given = parser.parse_args()
    figures: Figures = {}
    for name in given.sizes:
        found = race(SIZES[name], given.device, given.pairs, given.words, given.rounds)
        for label, figure in found.items():
            figures[f"{name}: {label}"] = figure
            print(f"{name + ': ' + label:60s} {figure}", flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    described = machine.description() | {"device": _device_name(given.device)}
    write(given.out, described, figures, [])


def race(config: dict[str, Any], device: str, pairs: int, words: int, rounds: int) -> Figures:
    """Tokens per second of both sides, their ratio, our share of the matrix peak, and agreement."""
    chosen = [(a, b) for _ in range(pairs) for a, b in [sorted(Workload(2, words).group()[1])]]
    units = [pair_unit(a, b) for a, b in chosen]
    runtime: Runtime = "float32" if device == "cpu" else "bfloat16"
    dtype = dtype_of(runtime, device)
    with TemporaryDirectory() as folder:
        peer, tokenizer = save_random(config, dtype, folder)
        ours = CrossEncoder(folder, ModelOptions(device=device, runtime=runtime))
        encoded = ours.encode(units)
        library = SentenceCrossEncoder(folder, device=device, model_kwargs={"dtype": dtype})
    peer.to(device).train(False).requires_grad_(False)
    work: dict[str, Callable[[], object]] = {
        "ours": lambda: ours.run(units),
        "padded": lambda: padded(peer, tokenizer, chosen, device),
        "library": lambda: library.predict(chosen, batch_size=PEER_BATCH, show_progress_bar=False),
        "encoder": lambda: list(ours.logits(encoded)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    peaks = []
    for _ in range(rounds + 1):
        peaks.append(matmul_peak(device=device, dtype=dtype, seconds=PEAK_SECONDS))
        for name, run in work.items():
            started = time.perf_counter()
            run()
            if device != "cpu":
                torch.cuda.synchronize(device)
            seconds[name].append(time.perf_counter() - started)
    seconds = {name: values[1:] for name, values in seconds.items()}  # the first warms up
    own, other, peaks = seconds["ours"], seconds["padded"], peaks[1:]
    results, theirs = ours.run(units), padded(peer, tokenizer, chosen, device)
    some = ours.run(units[: max(pairs // 7, 1)])
    strangers = [r.probability != s.probability for r, s in zip(results, some, strict=False)]
    tokens = sum(result.tokens for result in results)
    useful = useful_operations(peer, tokenizer, chosen, device) / 1e9
    middle = float(np.median(theirs))  # a random head has no threshold of its own
    agreed = [
        (r.probability > middle) == (p > middle) for r, p in zip(results, theirs, strict=True)
    ]

    def share(spent: Sequence[float]) -> Figure:
        shares = [useful / s / peak for s, peak in zip(spent, peaks, strict=True)]
        return Figure.of(shares, "of 1", "higher")

    all_pairs = GROUPS * ROLLOUTS * (ROLLOUTS - 1) // 2
    return {
        "ours": Figure.of([tokens / s for s in own], "tokens a second", "higher"),
        "padded batches": Figure.of([tokens / s for s in other], "tokens a second", "higher"),
        "padded batches / ours": ratio(other, own),
        "sentence-transformers / ours": ratio(seconds["library"], own),
        "matmul peak": Figure.of(peaks, "GFLOP/s", "higher"),
        "share of the matmul peak": share(own),
        "share of the matmul peak, tokens ready": share(seconds["encoder"]),
        "all pairs of 256 groups of 8": Figure.of(
            [s / pairs * all_pairs for s in own], "s", "lower"
        ),
        "other bits in smaller company": Figure.of([float(np.mean(strangers))], "of 1", "lower"),
        "decisions as padded": Figure.of([float(np.mean(agreed))], "of 1", "higher"),
    }


def save_random(config: dict[str, Any], dtype: torch.dtype, folder: str) -> tuple[Any, Any]:
    """Returns (model with random weights, tokenizer), also saved as a checkpoint in `folder`."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(wheel_weights())
    made = AutoConfig.for_model(**(config | {"vocab_size": len(tokenizer), "num_labels": 1}))
    for name in ("pad", "bos", "eos", "cls", "sep"):  # not those of the architecture's own words
        setattr(made, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    tokenizer.model_max_length = made.max_position_embeddings
    model = AutoModelForSequenceClassification.from_config(made, dtype=dtype)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def padded(model: Any, tokenizer: Any, pairs: Pairs, device: str) -> FloatArray:
    """Probabilities from batches of `PEER_BATCH` pairs in order, padded to the longest pair."""
    found: list[FloatArray] = []
    for start in range(0, len(pairs), PEER_BATCH):
        with torch.inference_mode():
            logits = model(**_read(tokenizer, pairs[start : start + PEER_BATCH], device)).logits
            found.append(torch.sigmoid(logits.double())[:, 0].cpu().numpy())
    return np.concatenate(found)


def useful_operations(model: Any, tokenizer: Any, pairs: Pairs, device: str) -> float:
    """Operations for all pairs without padding, estimated from a sample run pair by pair."""
    sample = pairs[:COUNTED_PAIRS]
    counted = operations(lambda: [model(**_read(tokenizer, [pair], device)) for pair in sample])
    return counted / len(sample) * len(pairs)


def _read(tokenizer: Any, pairs: Pairs, device: str) -> Any:
    first, second = zip(*pairs, strict=True)
    return tokenizer(
        list(first), list(second), padding=True, truncation=True, return_tensors="pt"
    ).to(device)


def _device_name(device: str) -> str:
    return device if device == "cpu" else torch.cuda.get_device_name(device)


if __name__ == "__main__":
    main()
