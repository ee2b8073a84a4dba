"""Shows what the trial of kernels sees on this machine, and the encoder's rate beside the peak.

    python -m benchmarks.kernels [--runtime float32] [--cpu]

It prints times of each kernel of attention by length, whether texts keep their bits at each number
of rows, times of packs, the choice, and the rate of the embedded encoder on texts of 256 tokens
beside that of a square product in the same minute. Nothing else should run; with `--cpu` the rates
are those of a CPU second, for a machine that others use.
"""

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from statistics import median
from typing import get_args

import numpy as np
import torch

from benchmarks.machine import Clock, description, matmul_peak
from darling_models.embedded.encoder import TextEncoder, wheel_weights
from darling_models.options import Runtime
from darling_models.runtime.kernel_trial import ODD, WHOLE, Name, Texts, choose, seconds
from darling_models.runtime.kernels import PACKS, ROWS, Kernels, rows_named
from darling_models.runtime.packed import PackedEncoder
from darling_models.runtime.precision import CPU_INFO

TEXTS, TOKENS = 64, 256
"""Texts of so many tokens on which the encoder's rate is measured."""
ROUNDS = 5
"""Measurements of the rate, of which the median is printed."""
LAYERS = 6
"""Layers of all-MiniLM-L6-v2."""
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", choices=get_args(Runtime), default="auto")
    parser.add_argument("--cpu", action="store_true", help="rates of a CPU second")
    given = parser.parse_args()
    encoder = TextEncoder(wheel_weights(), runtime=given.runtime)
    packed = encoder._packed
    flags = CPU_INFO.read_text().split() if CPU_INFO.exists() else []
    print(description(), [flag for flag in FLAGS if flag in flags], packed.dtype)
    packed.on_worker(partial(print_attention, packed))
    usual = Kernels.default(packed.dtype)
    for least, most in ROWS:
        limited = replace(usual, least_rows=least, most_rows=most)
        print(f"rows {rows_named(least, most)}: invariant {packed.invariant(limited)}")
    layers = {n: partial(packed.one_layer, replace(usual, pack=n)) for n in PACKS}
    of_packs = packed.on_worker(partial(seconds, layers, math.inf))
    print("packs: ms a layer", milliseconds(of_packs))
    started = time.perf_counter()
    print(f"{choose(packed)} in {time.perf_counter() - started:.1f} s")
    print_rate(packed, time.process_time if given.cpu else time.perf_counter)


@torch.inference_mode()
def print_attention(packed: PackedEncoder) -> None:
    for length in sorted(cell[0] for cell in (*WHOLE, *ODD)):
        texts = Texts(packed, length)
        runs = {letter: partial(texts.attend, letter, 0, texts.count) for letter in "fbp"}
        alike = "".join(letter for letter in runs if texts.alike(letter))
        times = milliseconds(seconds(runs, math.inf))
        print(f"attention, {texts.count} x {length} tokens: ms {times}, invariant {alike}")


def print_rate(packed: PackedEncoder, clock: Clock) -> None:
    source = np.random.default_rng(0)
    sequences = [source.integers(0, packed.vocabulary, (1, TOKENS)) for _ in range(TEXTS)]

    def encode(count: int) -> None:
        assert len(list(packed.hidden(sequences[:count]))) == count

    rates, peaks = [], []
    for _ in range(ROUNDS):
        started = clock()
        encode(TEXTS)
        rates.append(TEXTS * TOKENS / (clock() - started))
        peaks.append(matmul_peak(clock, dtype=packed.dtype, seconds=0.5))
    # Products with the weights of a layer (4 + 2 x 4 squares of the width), and attention's two.
    own = LAYERS * (2 * 12 * packed.width**2 + 4 * TOKENS * packed.width)
    shares = [100 * rate * own / 1e9 / peak for rate, peak in zip(rates, peaks, strict=True)]
    print(
        f"{median(rates):,.0f} tokens/s on {TEXTS} texts of {TOKENS} tokens, "
        f"{median(rates) * own / 1e9:.0f} of {median(peaks):.0f} GFLOP/s, {median(shares):.0f} % "
        f"of the peak [{min(shares):.0f}, {max(shares):.0f}]"
    )


def milliseconds(times: Mapping[Name, float]) -> dict[Name, float]:
    return {name: round(1000 * value, 2) for name, value in times.items()}


if __name__ == "__main__":
    main()
