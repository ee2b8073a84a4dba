"""Compares the service under 64 clients with its own pipeline without HTTP, and with the peers.

Every group is new and the cache is off, so that all of it is computed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from benchmarks.figures import Figure, Figures, ratio
from benchmarks.http import Connection
from benchmarks.infinity import CONCURRENCY
from benchmarks.load import service
from benchmarks.over_http import body
from benchmarks.peers import Group, Peers, pairs_of, peers
from benchmarks.workloads import Workload
from darling_service.pipeline import Pipeline
from darling_service.schemas.requests import RewardRequest
from darling_service.settings import Settings

CLIENTS = 64
WITHOUT_CACHE = ("--cache-bytes", "0")
Send = Callable[[dict[str, Any]], Awaitable[object]]


def share_of_engine(workload: Workload, groups: int, rounds: int) -> Figures:
    """Groups per second over HTTP, through the pipeline in this process, and their ratio."""
    with service(*WITHOUT_CACHE) as (url, _):
        over_http, direct = asyncio.run(_with_and_without_http(url, workload, groups, rounds))
    name = f"{workload.name}, {CLIENTS} clients"
    share = [a / b for a, b in zip(over_http, direct, strict=True)]
    return {
        f"{name}: groups over HTTP": Figure.of(over_http, "a second", "higher"),
        f"{name}: groups without HTTP": Figure.of(direct, "a second", "higher"),
        f"{name}: HTTP's share of the engine's": Figure.of(share, "of 1", "higher"),
    }


async def _with_and_without_http(
    url: str, workload: Workload, groups: int, rounds: int
) -> tuple[list[float], list[float]]:
    pipeline = Pipeline(Settings(cache_bytes=0))
    await pipeline.start()

    async def call(request: dict[str, Any]) -> object:
        return await pipeline.rewards(RewardRequest.model_validate(request))

    over_http, direct = [], []
    for turn in range(rounds + 1):
        a = await _over_http(url, workload, groups)
        b = await _rate([call] * CLIENTS, workload, groups)
        if turn:  # the first does not count
            over_http.append(a)
            direct.append(b)
    await pipeline.stop()
    return over_http, direct


def beside_peers(workload: Workload, groups: int, peer_groups: int, rounds: int) -> Figures:
    """Seconds per group of the default over HTTP, and of the peers on groups of the same kind.

    The peers are (a) `CrossEncoder.predict` over all pairs, in this process and so without the cost
    of HTTP, and (b) where it is installed, infinity with one request per pair, `CONCURRENCY` at a
    time.
    """
    samples: dict[str, list[float]] = {}
    with peers() as contenders, service(*WITHOUT_CACHE) as (url, _):
        for turn in range(rounds + 1):
            few = turn == 0  # warms up, and does not count
            own = asyncio.run(_over_http(url, workload, 8 if few else groups))
            seconds = {"ours over HTTP": 1 / own}
            for name, classify in _pairwise(contenders).items():
                chosen = [workload.group() for _ in range(1 if few else peer_groups)]
                started = time.perf_counter()
                classify(chosen)
                seconds[name] = (time.perf_counter() - started) / len(chosen)
            for name, taken in seconds.items():
                if not few:
                    samples.setdefault(name, []).append(taken)
    label = f"{workload.name}, {CLIENTS} clients"
    figures = {f"{label}: {n}": Figure.of(s, "s a group") for n, s in samples.items()}
    ours = samples.pop("ours over HTTP")
    return figures | {f"{label}: {n} / ours": ratio(s, ours) for n, s in samples.items()}


def _pairwise(contenders: Peers) -> dict[str, Callable[[Sequence[Group]], object]]:
    found: dict[str, Callable[[Sequence[Group]], object]] = {
        "predict": lambda groups: [contenders.predicted(group) for group in groups]
    }
    if (server := contenders.server) is not None:
        found[f"infinity, {CONCURRENCY} requests at a time"] = lambda groups: server.classify(
            [pair for group in groups for pair in pairs_of(group)]
        )
    return found


async def _over_http(url: str, workload: Workload, groups: int) -> float:
    connections = [Connection(url) for _ in range(CLIENTS)]

    def sender(connection: Connection) -> Send:
        async def send(request: dict[str, Any]) -> None:
            status, answer = await connection.post("/v1/rewards", request)
            assert status == 200, answer

        return send

    rate = await _rate([sender(one) for one in connections], workload, groups)
    for connection in connections:
        await connection.drop()
    return rate


async def _rate(clients: Sequence[Send], workload: Workload, groups: int) -> float:
    """Groups per second, when each client sends one after the other until all are answered."""
    waiting = [body(workload) for _ in range(groups)]

    async def client(send: Send) -> None:
        while waiting:
            await send(waiting.pop())

    started = time.perf_counter()
    await asyncio.gather(*(client(send) for send in clients))
    return groups / (time.perf_counter() - started)
