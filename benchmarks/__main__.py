"""Runs all benchmarks: ours and the peers on the same groups, and the service over HTTP.

    python -m benchmarks [--full] [--out DIR] [--only WORD] [--cpu]

It writes `benchmarks.json` (for `benchmarks.compare`) and `benchmarks.png`, and prints each figure
as median [least, most]. A run takes minutes, or hours with `--full`. On a machine in use, `--cpu`
times the peers by this process's CPU seconds and leaves infinity out, because it runs in another
process.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks import machine, over_http, throughput
from benchmarks.figures import Figure, Figures, write
from benchmarks.infinity import COMMAND
from benchmarks.machine import Clock
from benchmarks.peers import Peers, peers
from benchmarks.plot import plot
from benchmarks.throughput import CLIENTS
from benchmarks.workloads import Workload
from darling_models.runtime.precision import dtype_of, name_of

SIZES, LENGTHS = (4, 8, 16, 32, 64), (50, 400, 2000)
MAX_PAIR_WORDS = 150_000
"""Most words in all pairs of a group for which the peers that read pairs are run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="every workload of the grid")
    parser.add_argument("--rounds", type=int, default=5, help="paired runs of each figure")
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--only", default="", help="parts whose name holds this word")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds instead of wall seconds")
    given = parser.parse_args()
    clock = time.process_time if given.cpu else time.perf_counter
    given.out.mkdir(parents=True, exist_ok=True)
    figures: Figures = {}
    skipped: list[str] = []
    for name, part in parts(given.full, given.rounds, clock, skipped):
        if given.only not in name:
            continue
        print(f"# {name}", flush=True)
        for label, figure in part().items():
            print(f"{label:70s} {figure}", flush=True)
            figures[label] = figure
    for reason in skipped:
        print(f"skipped: {reason}")
    write(given.out / "benchmarks.json", machine.description(), figures, skipped)
    plot(figures, given.out / "benchmarks.png")


def parts(
    full: bool, rounds: int, clock: Clock, skipped: list[str]
) -> Iterator[tuple[str, Callable[[], Figures]]]:
    http = over_http
    yield "machine", lambda: peaks(rounds, clock)
    yield "peers", lambda: race(full, rounds, clock, skipped)
    yield (
        "start",
        lambda: (
            http.command_line(["--help"], rounds)
            | http.command_line(["models"], rounds)
            | http.start("embedded", rounds)
        ),
    )
    yield (
        "latency",
        lambda: (
            http.latency("ngram", 200, rounds)
            | http.latency("embedded", 100 if full else 30, rounds)
        ),
    )
    yield "growth", lambda: http.growth(400, SIZES[1:], rounds)
    workload = Workload(8, 400 if full else 100)
    yield "throughput", lambda: throughput.share_of_engine(workload, CLIENTS, rounds)
    yield "served 8", lambda: throughput.beside_peers(Workload(8, 400), CLIENTS, 2, rounds)
    if full:
        yield (
            "served 32",
            lambda: throughput.beside_peers(Workload(32, 400), CLIENTS // 4, 1, rounds),
        )


def peaks(rounds: int, clock: Clock) -> Figures:
    """The matrix peak in float32 and in the precision that the runtime chooses on this machine."""
    return {
        f"matmul peak in {name_of(dtype)}": Figure.of(
            [machine.matmul_peak(clock, dtype=dtype) for _ in range(rounds)], "GFLOP/s", "higher"
        )
        for dtype in {torch.float32, dtype_of("auto", "cpu")}
    }


def race(full: bool, rounds: int, clock: Clock, skipped: list[str]) -> Figures:
    grid = (
        [Workload(n, words, alike) for n in SIZES for words in LENGTHS for alike in (False, True)]
        if full
        else [Workload(8, 50), Workload(8, 400), Workload(8, 400, collapsed=True)]
    )
    with peers(clock) as contenders:
        if contenders.server is None:
            skipped.append(f"infinity: no server; set {COMMAND} (benchmarks/infinity.py says how)")
        figures = contenders.decisions()
        for workload in grid:
            figures |= _raced(contenders, workload, rounds, skipped)
    return figures


def _raced(contenders: Peers, workload: Workload, rounds: int, skipped: list[str]) -> Figures:
    # Cross-encoders read at most 512 tokens of a pair.
    words = min(2 * workload.words, 400) * workload.rollouts * (workload.rollouts - 1) // 2
    pairwise = words <= MAX_PAIR_WORDS
    if not pairwise:
        skipped.append(f"{workload.name}: pairwise models, {words} words in all pairs")
    return contenders.race(workload, groups=1, rounds=rounds, pairwise=pairwise)


if __name__ == "__main__":
    main()
