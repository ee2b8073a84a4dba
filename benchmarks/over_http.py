"""Measures the service as one caller sees it: latency, growth with n, start and memory."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from benchmarks.figures import Figure, Figures
from benchmarks.http import Connection
from benchmarks.load import resident_mib, service
from benchmarks.workloads import SHORT_ANSWER_WORDS, Workload

COMMAND = (sys.executable, "-m", "darling_service.cli")


def body(workload: Workload) -> dict[str, Any]:
    prompt, texts = workload.group()
    group = {"prompt": prompt, "rollouts": texts, "quality": [1.0] * len(texts)}
    return {"groups": [group]}


def start(model: str, rounds: int) -> Figures:
    """Seconds from start to ready, and resident memory after one group has been answered."""
    seconds, memory = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        with service("--model", model) as (url, pid):
            seconds.append(time.perf_counter() - started)
            httpx.post(f"{url}/v1/rewards", json=body(Workload(8, 400)), timeout=600)
            memory.append(resident_mib(pid))
    return {
        f"{model}: start to ready": Figure.of(seconds, "s"),
        f"{model}: resident memory": Figure.of(memory, "MiB"),
    }


def latency(model: str, requests: int, rounds: int) -> Figures:
    """Latency in ms of one client for groups of eight short answers, all new and all seen before.

    The client is a bare connection, because httpx would add 1–2 ms of its own.
    """
    p50: dict[str, list[float]] = {"new": [], "seen": []}
    p99: dict[str, list[float]] = {"new": [], "seen": []}
    with service("--model", model) as (url, _):
        for turn in range(rounds + 1):
            bodies = [body(Workload(8, SHORT_ANSWER_WORDS)) for _ in range(requests)]
            for state in ("new", "seen"):
                waits = asyncio.run(_waits(url, bodies))
                if turn:
                    p50[state].append(float(np.percentile(waits, 50)) * 1000)
                    p99[state].append(float(np.percentile(waits, 99)) * 1000)
    return {
        f"{model}: 8 short answers, {state}, {name}": Figure.of(samples[state], "ms")
        for name, samples in (("p50", p50), ("p99", p99))
        for state in ("new", "seen")
    }


async def _waits(url: str, bodies: Sequence[dict[str, Any]]) -> list[float]:
    """Seconds for each request, sent one after the other on one connection."""
    connection, waits = Connection(url), []
    for one in bodies:
        started = time.perf_counter()
        status, answer = await connection.post("/v1/rewards", one)
        waits.append(time.perf_counter() - started)
        assert status == 200, answer
    await connection.drop()
    return waits


def _timed(http: httpx.Client, request: dict[str, Any]) -> float:
    started = time.perf_counter()
    http.post("/v1/rewards", json=request).raise_for_status()
    return time.perf_counter() - started


def growth(words: int, sizes: Sequence[int], rounds: int) -> Figures:
    """Seconds for a group of each size n, and the exponent of n between the first and last size."""
    seconds: dict[int, list[float]] = {n: [] for n in sizes}
    with (
        service("--cache-bytes", "0") as (url, _),
        httpx.Client(base_url=url, timeout=3600) as http,
    ):
        for turn in range(rounds + 1):
            for n in sizes:
                taken = _timed(http, body(Workload(n, words)))
                if turn:
                    seconds[n].append(taken)
    first, last = sizes[0], sizes[-1]
    exponents = [
        float(np.log(b / a) / np.log(last / first))
        for a, b in zip(seconds[first], seconds[last], strict=True)
    ]
    figures = {
        f"growth, {words} words: n={n}": Figure.of(s, "s a group") for n, s in seconds.items()
    }
    figures[f"growth, {words} words: exponent"] = Figure.of(exponents, "power of n")
    return figures


def command_line(arguments: Sequence[str], rounds: int) -> Figures:
    """Seconds for a command that needs no model."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    return {f"darling-reward {' '.join(arguments)}": Figure.of(seconds, "s")}
