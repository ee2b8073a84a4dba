"""Measures the cohort endpoint under a storm of calls, and with very many callers waiting at once.

    python -m benchmarks.cohorts [--groups 2000] [--size 8] [--connections 500]
    python -m benchmarks.cohorts --waiting 19000

The storm sends each rollout in a call of its own over `--connections` connections, in random order
among the groups that these connections can hold at a time. 1 % of the members are sent twice, 1 %
hang up and are sent again, and 0.5 % are never sent. Every answer is compared with `/v1/rewards` of
the group. The model is `ngram`, so that the endpoint is measured and not an encoder.
"""

import argparse
import asyncio
import json
import random
import re
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from benchmarks.http import Connection
from benchmarks.load import WORDS, percentiles, resident_mib, service

TWICE, HANG_UP, MISSING = 0.01, 0.01, 0.005
PER_REQUEST = 500
BURST = 1000
SPARE_FILES = 300
"""File descriptors that the process keeps free for other uses than waiting connections."""


@dataclass
class Group:
    name: str
    texts: list[str]
    quality: list[float]
    answers: dict[int, list[Any]] = field(default_factory=dict)
    """The answers that each member got, by index; a member that was never sent has no entry."""
    seconds: float = 0.0
    """Seconds from the first member sent to the last answer."""

    def member(self, i: int, deadline_s: float) -> dict[str, Any]:
        return {
            "run": "storm",
            "group_id": self.name,
            "member_id": i,
            "group_size": len(self.texts),
            "prompt": f"Write about {self.name}.",
            "text": self.texts[i],
            "quality": self.quality[i],
            "reward": {"advantage": "centered"},
            "deadline_s": deadline_s,
        }


def make_groups(count: int, size: int, words: int, seed: int) -> list[Group]:
    """`count` groups of `size` rollouts, some of which are alike."""
    source = random.Random(seed)
    groups = []
    for number in range(count):
        kinds = [source.choices(WORDS, k=words) for _ in range(max(size // 2, 1))]
        texts = [" ".join([*source.choice(kinds), str(i)]) for i in range(size)]
        groups.append(Group(f"group {number}", texts, [source.random() for _ in texts]))
    return groups


async def storm(
    url: str, groups: list[Group], connections: int, deadline_s: float, seed: int = 0
) -> Counter[str]:
    """Sends all groups, and returns how many members each thing was done to."""
    source = random.Random(seed)
    size = len(groups[0].texts)
    # Twice sent members take a second connection; with fewer groups at a time, none starves.
    at_a_time = asyncio.Semaphore(max(connections // (2 * size), 1))
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(Connection(url))
    done: Counter[str] = Counter()

    async def call(group: Group, i: int) -> None:
        connection = await free.get()
        try:
            status, body = await connection.post("/v1/rollouts", group.member(i, deadline_s))
        finally:
            free.put_nowait(connection)
        done[f"status {status}"] += 1
        group.answers.setdefault(i, []).append(body)

    async def member(group: Group, i: int, fate: float) -> None:
        await asyncio.sleep(source.random() * 0.5)
        if fate < TWICE:
            done["sent twice"] += 1
            await asyncio.gather(call(group, i), call(group, i))
        elif fate < TWICE + HANG_UP:
            done["hung up and came again"] += 1
            connection = await free.get()
            await connection.send("/v1/rollouts", group.member(i, deadline_s))
            await asyncio.sleep(source.random() * 0.1)
            await connection.drop()
            free.put_nowait(connection)
            await call(group, i)
        elif fate < TWICE + HANG_UP + MISSING:
            done["never came"] += 1
        else:
            await call(group, i)

    async def together(group: Group) -> None:
        async with at_a_time:
            started = time.monotonic()
            order = source.sample(range(size), size)
            await asyncio.gather(*(member(group, i, source.random()) for i in order))
            group.seconds = time.monotonic() - started

    await asyncio.gather(*map(together, groups))
    while not free.empty():
        await free.get_nowait().drop()
    return done


async def wrong_answers(url: str, groups: list[Group]) -> list[str]:
    """Describes answers that differ from `/v1/rewards` of the members sent, or lack their flag."""
    wrong = []
    async with httpx.AsyncClient(base_url=url, timeout=600) as http:
        sent = [group for group in groups if group.answers]
        for start in range(0, len(sent), PER_REQUEST):
            part = sent[start : start + PER_REQUEST]
            asked = [
                {
                    "prompt": f"Write about {group.name}.",
                    "rollouts": [group.texts[i] for i in sorted(group.answers)],
                    "quality": [group.quality[i] for i in sorted(group.answers)],
                }
                for group in part
            ]
            body = {"groups": asked, "reward": {"advantage": "centered"}}
            answer = (await http.post("/v1/rewards", json=body)).raise_for_status().json()
            for group, whole in zip(part, answer["groups"], strict=True):
                wrong += _wrong(group, whole)
    return wrong


def _wrong(group: Group, whole: dict[str, Any]) -> list[str]:
    complete = len(group.answers) == len(group.texts)
    wrong = []
    for place, i in enumerate(sorted(group.answers)):
        expected = {
            "reward": whole["rewards"][place],
            "diversity": whole["diversity"][place],
            "quality": whole["quality"][place],
            "class": whole["partition"][place],
            "num_classes": whole["num_classes"],
            "advantage": whole["advantages"][place],
            "group_complete": complete,
            "group_size": len(group.answers),
        }
        for answer in group.answers[i]:
            if {name: answer.get(name) for name in expected} != expected:
                wrong.append(f"{group.name}, member {i}: {answer} for {expected}")
    return wrong


async def gauge(url: str, name: str) -> float:
    async with httpx.AsyncClient(timeout=60) as http:
        text = (await http.get(f"{url}/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(found.group(1)) if found else 0.0


async def hold(url: str, pid: int, waiting: int, size: int, words: int) -> dict[str, Any]:
    """Lets `waiting` rollouts wait for the last of their group, then sends the last ones."""
    groups = make_groups(waiting // (size - 1), size, words, seed=1)
    early = [(group, i) for group in groups for i in range(size - 1)]
    random.Random(2).shuffle(early)
    connections = [Connection(url) for _ in early]
    before = resident_mib(pid)
    started = time.monotonic()
    held = 0.0
    # No more at a time than the kernel keeps for a server that is busy: it drops the others.
    for start in range(0, len(early), BURST):
        burst = slice(start, start + BURST)
        sending = zip(connections[burst], early[burst], strict=True)
        await asyncio.gather(
            *(c.send("/v1/rollouts", group.member(i, 600)) for c, (group, i) in sending)
        )
        for _ in range(3000):
            if (held := await gauge(url, "darling_waiting_rollouts")) >= min(
                start + BURST, len(early)
            ):
                break
            await asyncio.sleep(0.02)
    arrived_s, memory = time.monotonic() - started, resident_mib(pid)
    live = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        for _ in range(50):
            asked = time.perf_counter()
            (await http.get("/health/live")).raise_for_status()
            live.append(1000 * (time.perf_counter() - asked))

    async def receive(connection: Connection, group: Group, i: int) -> None:
        _, body = await connection.receive()
        group.answers.setdefault(i, []).append(body)

    async def last(group: Group, connection: Connection) -> None:
        _, body = await connection.post("/v1/rollouts", group.member(size - 1, 600))
        group.answers.setdefault(size - 1, []).append(body)

    async def lasts() -> None:
        connection = Connection(url)
        for group in groups:
            await last(group, connection)
        await connection.drop()

    started = time.monotonic()
    receiving = [receive(c, *what) for c, what in zip(connections, early, strict=True)]
    await asyncio.gather(lasts(), *receiving)
    answered_s = time.monotonic() - started
    for connection in connections:
        await connection.drop()
    return {
        "waiting": held,
        "arrived_seconds": round(arrived_s, 1),
        "kib_each": round((memory - before) * 1024 / held, 1),
        "live_milliseconds_while_waiting": percentiles(np.asarray(live)),
        "answered_seconds": round(answered_s, 1),
        "wrong": (await wrong_answers(url, groups))[:3],
        "waiting_at_the_end": await gauge(url, "darling_waiting_rollouts"),
    }


async def run_storm(url: str, pid: int, given: argparse.Namespace) -> dict[str, Any]:
    groups = make_groups(given.groups, given.size, given.words, seed=0)
    memory: list[float] = []

    async def watch() -> None:
        while True:
            memory.append(resident_mib(pid))
            await asyncio.sleep(0.5)

    watching = asyncio.create_task(watch())
    started = time.monotonic()
    done = await storm(url, groups, given.connections, given.deadline_s)
    seconds = time.monotonic() - started
    watching.cancel()
    partial = [group for group in groups if 0 < len(group.answers) < given.size]
    half = memory[: len(memory) // 2]
    return {
        "groups": len(groups),
        "seconds": round(seconds, 1),
        "rollouts_per_second": round(done["status 200"] / seconds),
        "members": dict(done),
        "partial_groups": len(partial),
        "slowest_partial_seconds": round(max((g.seconds for g in partial), default=0.0), 2),
        "wrong": (await wrong_answers(url, groups))[:3],
        "waiting_at_the_end": await gauge(url, "darling_waiting_rollouts"),
        "memory_mib": {
            "start": round(memory[0]),
            "first_half": round(max(half)),
            "second_half": round(max(memory[len(half) :])),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=2000)
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--deadline-s", type=float, default=10)
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--keep-s", type=float, default=20, help="the service's cohort_ttl_s")
    parser.add_argument("--waiting", type=int, default=0, help="hold so many callers instead")
    given = parser.parse_args()
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    waiting = min(given.waiting, files - SPARE_FILES)
    if waiting < given.waiting:
        print(f"{files} open files are allowed here: {waiting} callers instead of {given.waiting}")
    arguments = ("--model", "ngram", "--cohort-ttl-s", str(given.keep_s))
    with service(*arguments) as (url, pid):
        if waiting:
            found = asyncio.run(hold(url, pid, waiting, given.size, given.words))
        else:
            found = asyncio.run(run_storm(url, pid, given))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
