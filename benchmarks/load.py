"""Measures throughput, errors, liveness and memory while many clients send groups at once.

    python -m benchmarks.load [--clients 64] [--seconds 60] [--words 60]

It starts `darling-reward serve` on the embedded default and lets each client send one group of
eight new rollouts after another. A process of its own asks for `/health/live` twenty times a
second.
"""

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

TOPICS = ["travel", "cooking", "music", "physics", "gardening", "history", "chess", "law"]
WORDS = Path(__file__).read_text().split()


@contextmanager
def service(*arguments: str) -> Iterator[tuple[str, int]]:
    """Starts a service and yields its (base URL, process id) once it is ready."""
    command = [sys.executable, "-m", "darling_service.cli", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        url, ready = "", False
        while not (url and ready):
            line = process.stderr.readline()
            if not line:
                raise RuntimeError("the service ended")
            if found := re.search(r"listening on (http://\S+),", line):
                url = found.group(1)
            ready = ready or " ready: " in line
        # A pipe that nobody reads fills with the log of requests, and then stops the service.
        threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found.group(1)) / 1024


def group(source: random.Random, words: int) -> dict[str, object]:
    """A group of eight rollouts that were never sent before, some of them on one topic."""
    topics = source.choices(TOPICS, k=8)
    texts = [
        f"On {topic}: " + " ".join(source.choices(WORDS, k=source.randint(words // 2, words)))
        for topic in topics
    ]
    return {"prompt": "Write about anything.", "rollouts": texts, "quality": [1.0] * 8}


async def load(url: str, pid: int, clients: int, seconds: float, words: int) -> dict[str, object]:
    waits: list[float] = []
    failures: list[str] = []
    memory: list[float] = []
    stop = time.monotonic() + seconds

    async def client(seed: int) -> None:
        source = random.Random(seed)
        async with httpx.AsyncClient(base_url=url, timeout=120) as http:
            while time.monotonic() < stop:
                body = {"groups": [group(source, words)]}
                started = time.perf_counter()
                try:
                    answer = await http.post("/v1/rewards", json=body)
                except httpx.HTTPError as error:
                    failures.append(repr(error))
                    continue
                if answer.status_code != 200:
                    failures.append(answer.text)
                waits.append(time.perf_counter() - started)

    async def watch() -> None:
        while time.monotonic() < stop:
            memory.append(resident_mib(pid))
            await asyncio.sleep(1)

    probe = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, url, str(seconds), stdout=subprocess.PIPE
    )
    await asyncio.gather(watch(), *(client(seed) for seed in range(clients)))
    printed, _ = await probe.communicate()
    live = np.asarray(json.loads(printed)) * 1000
    third = len(memory) // 3
    return {
        "clients": clients,
        "groups": len(waits),
        "groups_per_second": round(len(waits) / seconds, 2),
        "errors": len(failures),
        "first_error": failures[0] if failures else None,
        "answer_seconds": percentiles(np.asarray(waits)),
        "live_milliseconds": percentiles(live),
        "memory_mib": {
            "start": round(memory[0]),
            "second_third": round(max(memory[third : 2 * third], default=0)),
            "last_third": round(max(memory[2 * third :], default=0)),
        },
    }


PROBE = """
import httpx, json, sys, time
waits, stop = [], time.monotonic() + float(sys.argv[2])
with httpx.Client(base_url=sys.argv[1], timeout=60) as http:
    while time.monotonic() < stop:
        started = time.perf_counter()
        http.get("/health/live").raise_for_status()
        waits.append(time.perf_counter() - started)
        time.sleep(0.05)
print(json.dumps(waits))
"""


def percentiles(values: np.ndarray) -> dict[str, float]:
    names = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(values, p)), 3) for name, p in names.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--cache-mib", type=int, default=256)
    given = parser.parse_args()
    cache = str(given.cache_mib * 2**20)
    with service("--model", given.model, "--cache-bytes", cache) as (url, pid):
        found = asyncio.run(load(url, pid, given.clients, given.seconds, given.words))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
