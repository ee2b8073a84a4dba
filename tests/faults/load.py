"""Load on a service from many connections, and what came of it."""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.texts import essay

SIZES = ((2, 20), (4, 50), (8, 50), (8, 100), (16, 100), (32, 50))
"""Rollouts of a group and words of each, of the requests of a load."""
REFUSED = (429, 503)
PAUSE_S = 1.0
"""Seconds, on average, that a connection waits after a refusal."""


def requests(number: int, seed: int) -> list[bytes]:
    """So many different bodies for `/v1/rewards`, of all sizes."""
    bodies = []
    for i, (rollouts, words) in zip(range(number), itertools.cycle(SIZES)):
        texts = [f"{seed} {i} {r} {essay(r + i, words)}" for r in range(rollouts)]
        group = {"prompt": f"p {i}", "rollouts": texts, "quality": [1.0] * rollouts}
        bodies.append(json.dumps({"groups": [group]}).encode())
    return bodies


class Connection:
    """One connection kept open, with as little work for the sender as can be."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    async def __aenter__(self) -> "Connection":
        assert self._url.port is not None
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._url.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def post(self, body: bytes) -> tuple[int, Any]:
        """Status and body of the answer to a request for rewards."""
        head = f"POST /v1/rewards HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(answer.partition("content-length:")[2].split()[0])
        content = await self._reader.readexactly(length)
        return int(answer.split()[1]), json.loads(content)


@dataclass(slots=True)
class Outcome:
    """What a load came to."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    """Answers that differ from the expected ones."""
    accepted_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)

    def add(self, status: int, answer: Any, expected: Any, seconds: float) -> None:
        self.statuses[status] += 1
        if status == 200:
            self.accepted_s.append(seconds)
            self.wrong += answer["groups"] != expected
        elif status in REFUSED:
            self.refused_s.append(seconds)

    @property
    def errors(self) -> int:
        """Answers that are neither rewards nor a refusal."""
        return sum(n for status, n in self.statuses.items() if status not in (200, *REFUSED))


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else 0.0


async def answers(url: str, bodies: Sequence[bytes]) -> list[Any]:
    """The groups of each answer, asked for one after the other."""
    async with Connection(url) as connection:
        found = []
        for body in bodies:
            status, answer = await connection.post(body)
            assert status == 200, answer
            found.append(answer["groups"])
        return found


async def press(
    url: str, bodies: Sequence[bytes], expected: Sequence[Any], connections: int, seconds: float
) -> Outcome:
    """Each connection sends its next request as soon as it has an answer, and pauses after a
    refusal."""
    outcome, until, turn = Outcome(), time.monotonic() + seconds, itertools.count()

    async def worker() -> None:
        async with Connection(url) as connection:
            while time.monotonic() < until:
                place = next(turn) % len(bodies)
                started = time.perf_counter()
                status, answer = await connection.post(bodies[place])
                outcome.add(status, answer, expected[place], time.perf_counter() - started)
                if status in REFUSED:
                    await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(worker())
    return outcome


async def pace(
    url: str, bodies: Sequence[bytes], expected: Sequence[Any], rate: float, seconds: float
) -> Outcome:
    """Sends so many requests a second, whatever comes of them, over as many connections as that
    takes."""
    outcome, started = Outcome(), time.monotonic()
    free: list[Connection] = []

    async def send(place: int) -> None:
        connection = free.pop() if free else await Connection(url).__aenter__()
        began = time.perf_counter()
        status, answer = await connection.post(bodies[place])
        outcome.add(status, answer, expected[place], time.perf_counter() - began)
        free.append(connection)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
            tasks.create_task(send(number % len(bodies)))
    for connection in free:
        await connection.__aexit__()
    return outcome


def resident_bytes(pid: int) -> int:
    """Memory that the process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def slope(points: Iterator[tuple[float, float]]) -> float:
    """Least-squares slope of y over x."""
    xs, ys = zip(*points, strict=True)
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mx) ** 2 for x in xs)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
