"""Measures what the history of runs costs: latency with it against without, and memory.

    python -m benchmarks.history [--pairs 400] [--groups 100000]

Two services answer the same requests in turn, one that records every group in SQLite and one that
keeps no history, so that both see the same state of the machine. Then one with a history scores
many groups. Both parts together take at most six minutes, and say how far they came.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.http import Connection
from benchmarks.load import group, resident_mib, service

WORDS = 60
"""Words of a rollout, as in `benchmarks.load`."""
FEW_WORDS = 12
"""Words of a rollout where memory is watched: the history costs the same, and time is short."""
GROUPS_OF_STEP = 64
GROUPS_OF_REQUEST = 50
WARM_UP = 20
"""Pairs of requests that are not counted."""
MAX_S = 160.0
"""Seconds of each of the two parts, without the start of its services."""
WANTED_RATIO = 1.03
"""Seconds of a request with a history, to those without, that are wanted at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--groups", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.pairs:
            asyncio.run(compare_latency(Path(folder) / "latency.db", arguments.pairs))
        if arguments.groups:
            asyncio.run(watch_memory(Path(folder) / "memory.db", arguments.groups))


async def compare_latency(file: Path, pairs: int) -> None:
    """Prints the ratio of seconds for one group of eight new rollouts, pair by pair."""
    source = random.Random(1)
    with service("--history-url", f"sqlite:///{file}") as (on, _), service() as (off, _):
        recording, plain = Connection(on), Connection(off)
        waits: list[list[float]] = []
        end = time.monotonic() + MAX_S
        for number in range(WARM_UP + pairs):
            if time.monotonic() > end and waits:
                break
            one = body([group(source, WORDS)], number)
            order = [(0, recording), (1, plain)]
            seconds = [0.0, 0.0]
            for place, connection in order if number % 2 else reversed(order):
                seconds[place] = await timed(connection, one)
            if number >= WARM_UP:
                waits.append(seconds)
        await recording.drop()
        await plain.drop()
    on_s, off_s = np.asarray(waits).T
    ratios = on_s / off_s
    low, high = interval(ratios)
    print(f"recording on / off, {len(waits)} pairs of requests with 8 rollouts of {WORDS} words:")
    print(
        f"  median ratio {np.median(ratios):.3f} (95 % interval {low:.3f}-{high:.3f}; at most "
        f"{WANTED_RATIO} is wanted)"
    )
    print(f"  ratio of medians {np.median(on_s) / np.median(off_s):.3f}")
    print(f"  medians {1000 * np.median(on_s):.1f} ms on, {1000 * np.median(off_s):.1f} ms off")


async def watch_memory(file: Path, groups: int) -> None:
    """Prints resident memory while a service with a history scores groups, with `exact`."""
    source = random.Random(2)
    texts = [group(source, FEW_WORDS) for _ in range(GROUPS_OF_REQUEST)]
    with service("--model", "exact", "--history-url", f"sqlite:///{file}") as (url, pid):
        connection = Connection(url)
        resident: list[float] = []
        end = time.monotonic() + MAX_S
        for sent in range(0, groups, GROUPS_OF_REQUEST):
            if time.monotonic() > end:
                print(f"stopped after {sent} groups and {MAX_S:g} s")
                break
            for one in texts:  # no text twice, so that nothing is cached
                one["prompt"] = f"{one['prompt']} {sent}"[-200:]
            await timed(connection, body(texts, sent // GROUPS_OF_STEP))
            done = sent + GROUPS_OF_REQUEST
            if done % (groups // 10) == 0:
                resident.append(resident_mib(pid))
                stored = os.stat(file).st_size / 2**20
                print(f"{done} groups: {resident[-1]:.0f} MiB resident, store {stored:.0f} MiB")
        await connection.drop()
    if len(resident) > 1:
        print(f"resident memory, last less first of these: {resident[-1] - resident[0]:+.1f} MiB")


def body(groups: list[dict[str, object]], step: int) -> dict[str, Any]:
    return {"groups": groups, "run": {"name": "benchmark", "step": step}}


async def timed(connection: Connection, one: dict[str, Any]) -> float:
    """Seconds from a request to its answer."""
    started = asyncio.get_running_loop().time()
    status, answer = await connection.post("/v1/rewards", one)
    assert status == 200, answer
    return asyncio.get_running_loop().time() - started


def interval(ratios: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
