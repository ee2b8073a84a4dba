"""Compares our cross-encoder with its peers on a GPU, for models of three sizes.

    python -m benchmarks.accelerator [--device cuda] [--groups 64] [--words 400] [--seconds 60]

The peers are padded Transformers batches and sentence-transformers' `CrossEncoder.predict`, which
sorts pairs by length first.

The architectures are those of the public configurations. Their weights are random, which cost what
trained ones do. All sides run the same weights in the same precision on all pairs of the same
groups of prose, and tokenise them within the measured time. Loading, compiling and a first group
are outside of it. Operations are counted over pairs without padding, and in layers with a window
over the tokens inside it, so the share of the peak counts useful work only.

A size takes `--seconds` at most and a round more. The JSON, which `benchmarks.compare` reads, is
written after every size; a size that fails is named in it.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
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
from darling_models.pairs import PairResult, pair_unit
from darling_models.protocol import FloatArray, Unit, all_pairs
from darling_models.runtime.precision import dtype_of

Pairs = Sequence[tuple[str, str]]
PEER_BATCH = 32
COUNTED_PAIRS = 16
PEAK_SECONDS = 0.3
"""Seconds that the matrix peak is measured before each round."""
ROUNDS = 5
"""Rounds at most of a size."""
GROUPS, ROLLOUTS = 256, 8
"""Groups, and rollouts of each, whose pairs ours runs once as a whole."""

SIZES: dict[str, dict[str, Any]] = {
    "ModernBERT-base": {
        "model_type": "modernbert",
        "hidden_size": 768,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "intermediate_size": 1152,
        "max_position_embeddings": 8192,
    },
    "MiniLM": {
        "model_type": "bert",
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "DeBERTa-v3-large": DEBERTA_V3_LARGE | {"model_type": "deberta-v2"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--groups", type=int, default=64, help="of 8 rollouts, for each round")
    parser.add_argument("--all-groups", type=int, default=GROUPS, help="that ours runs once")
    parser.add_argument("--words", type=int, default=400, help="of each rollout")
    parser.add_argument("--seconds", type=float, default=60, help="for each size")
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--out", type=Path, default=Path("bench/accelerator.json"))
    args = parser.parse_args()
    figures: Figures = {}
    skipped = []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    described = machine.description() | {"device": _device_name(args.device)}
    for name in args.sizes:
        try:
            race = Race(SIZES[name], args.device, args.groups, args.words)
            measured = race.rounds(args.seconds) | race.all_pairs(args.all_groups)
        except Exception as error:  # the other sizes are worth their figures
            traceback.print_exc()
            skipped.append(f"{name}: {error!r}")
            measured = {}
        for label, figure in measured.items():
            figures[f"{name}: {label}"] = figure
            print(f"{name + ': ' + label:60s} {figure}", flush=True)
        write(args.out, described, figures, skipped)
    if skipped:
        sys.exit(f"not measured: {', '.join(skipped)}")


class Race:
    """Ours and its peers with the same weights, loaded and warm."""

    def __init__(self, config: dict[str, Any], device: str, groups: int, words: int) -> None:
        started = time.perf_counter()
        self._device, self._words = device, words
        self._pairs, self._units = pairs_of(groups, words)
        runtime: Runtime = "float32" if device == "cpu" else "bfloat16"
        self._dtype = dtype_of(runtime, device)
        with TemporaryDirectory() as folder:
            self._peer, self._tokenizer = save_random(config, self._dtype, folder)
            self._ours = CrossEncoder(folder, ModelOptions(device=device, runtime=runtime))
            kwargs = {"dtype": self._dtype}
            library = SentenceCrossEncoder(folder, device=device, model_kwargs=kwargs)
        self._peer.to(device).train(False).requires_grad_(False)
        self._predict = partial(library.predict, batch_size=PEER_BATCH, show_progress_bar=False)
        few = len(all_pairs(ROLLOUTS)) * 2
        self._ours.run(self._units[:few])
        self._run_padded(self._pairs[:few])
        self._predict(self._pairs[:few])
        self._ready_after = time.perf_counter() - started

    def rounds(self, seconds: float) -> Figures:
        """Tokens per second of all sides, their ratios, our share of the matrix peak, the
        agreement, and the pairs that have other bits in smaller company."""
        encoded = self._ours.encode(self._units)
        work: dict[str, Callable[[], object]] = {
            "ours": lambda: self._ours.run(self._units),
            "encoder": lambda: list(self._ours.logits(encoded)),
            "padded": lambda: self._run_padded(self._pairs),
            "library": lambda: self._predict(self._pairs),
        }
        times: dict[str, list[float]] = {name: [] for name in work}
        peaks: list[float] = []
        results: dict[str, Any] = {}
        started = time.perf_counter()
        while not peaks or (len(peaks) < ROUNDS and time.perf_counter() - started < seconds):
            peaks.append(matmul_peak(device=self._device, dtype=self._dtype, seconds=PEAK_SECONDS))
            for name, run in work.items():
                results[name], spent = self._timed(run)
                times[name].append(spent)
        ours: list[PairResult] = results["ours"]
        theirs: FloatArray = results["padded"]
        tokens = sum(result.tokens for result in ours)
        sample = self._pairs[:: max(len(self._pairs) // COUNTED_PAIRS, 1)]
        useful = tokens * operations_a_token(self._peer, self._tokenizer, sample, self._device)
        middle = float(np.median(theirs))  # a random head has no threshold of its own
        agreed = [
            (r.probability > middle) == (p > middle) for r, p in zip(ours, theirs, strict=True)
        ]
        own = times["ours"]

        def rate(name: str) -> Figure:
            return Figure.of([tokens / s for s in times[name]], "tokens a second", "higher")

        def share(name: str) -> Figure:
            shares = [useful / 1e9 / s / peak for s, peak in zip(times[name], peaks, strict=True)]
            return Figure.of(shares, "of 1", "higher")

        return {
            "ours": rate("ours"),
            "ours, tokens ready": rate("encoder"),
            "padded batches": rate("padded"),
            "sentence-transformers": rate("library"),
            "padded batches / ours": ratio(times["padded"], own),
            "sentence-transformers / ours": ratio(times["library"], own),
            "matmul peak": Figure.of(peaks, "GFLOP/s", "higher"),
            "share of the matmul peak": share("ours"),
            "share of the matmul peak, tokens ready": share("encoder"),
            "useful operations": Figure.of([useful / tokens], "a token", "lower"),
            "tokens of a pair": Figure.of([tokens / len(ours)], "tokens", "lower"),
            "other bits in smaller company": Figure.of([self._strangers(ours)], "of 1", "lower"),
            "decisions as padded": Figure.of([float(np.mean(agreed))], "of 1", "higher"),
            "loading, compiling and warming all sides": Figure.of([self._ready_after], "s"),
        }

    def all_pairs(self, groups: int) -> Figures:
        """Seconds that ours takes for all pairs of so many groups that it has not seen before."""
        _, units = pairs_of(groups, self._words)
        _, spent = self._timed(lambda: self._ours.run(units))
        label = f"all {len(units):,} pairs of {groups} groups of {ROLLOUTS}"
        return {label: Figure.of([spent], "s", "lower")}

    def _strangers(self, results: Sequence[PairResult]) -> float:
        """The share of some pairs, drawn at random, whose bits differ when they run without the
        others and in another order."""
        drawn = np.random.default_rng(0).permutation(len(results))[: len(results) // 7 + 1]
        again = self._ours.run([self._units[k] for k in drawn])
        differ = [
            results[k].probability != result.probability
            for k, result in zip(drawn, again, strict=True)
        ]
        return float(np.mean(differ))

    def _timed(self, run: Callable[[], object]) -> tuple[Any, float]:
        started = time.perf_counter()
        result = run()
        if self._device != "cpu":
            torch.cuda.synchronize(self._device)
        return result, time.perf_counter() - started

    def _run_padded(self, pairs: Pairs) -> FloatArray:
        return padded(self._peer, self._tokenizer, pairs, self._device)


def pairs_of(groups: int, words: int) -> tuple[list[tuple[str, str]], list[Unit]]:
    """All pairs of new groups of prose, and the units by which ours runs them."""
    workload, pairs = Workload(ROLLOUTS, words), []
    for _ in range(groups):
        texts = sorted(workload.group()[1])
        pairs += [(texts[i], texts[j]) for i, j in all_pairs(ROLLOUTS).tolist()]
    return pairs, [pair_unit(a, b) for a, b in pairs]


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
    probabilities: list[FloatArray] = []
    for start in range(0, len(pairs), PEER_BATCH):
        with torch.inference_mode():
            logits = model(**_read(tokenizer, pairs[start : start + PEER_BATCH], device)).logits
            probabilities.append(torch.sigmoid(logits.double())[:, 0].cpu().numpy())
    return np.concatenate(probabilities)


def operations_a_token(model: Any, tokenizer: Any, pairs: Pairs, device: str) -> float:
    """Useful operations of a model for a token of these pairs, run one by one without padding."""
    total, tokens = 0.0, 0
    for pair in pairs:
        read = _read(tokenizer, [pair], device)
        length = read["input_ids"].shape[1]
        total += operations(partial(model, **read)) - outside_windows(model.config, length)
        tokens += length
    return total / tokens


def outside_windows(config: Any, length: int) -> float:
    """Operations counted in attention for tokens that layers with a window do not look at."""
    kinds = getattr(config, "layer_types", None) or []
    local = sum(kind == "sliding_attention" for kind in kinds)
    if not local:
        return 0.0
    places = np.arange(length)
    side = config.sliding_window
    seen = (np.minimum(places + side, length - 1) - np.maximum(places - side, 0) + 1).sum()
    return float(local * 4 * config.hidden_size * (length**2 - seen))


def _read(tokenizer: Any, pairs: Pairs, device: str) -> Any:
    first, second = zip(*pairs, strict=True)
    return tokenizer(
        list(first), list(second), padding=True, truncation=True, return_tensors="pt"
    ).to(device)


def _device_name(device: str) -> str:
    return device if device == "cpu" else torch.cuda.get_device_name(device)


if __name__ == "__main__":
    main()
