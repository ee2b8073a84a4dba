"""One process on one core beside two model processes on two: groups a second, and CPU seconds.

    python -m benchmarks.workers [--rounds 5] [--groups 40] [--words 400]

Both services run, and each round sends the same number of new groups to one after the other, with
the cache off. CPU seconds are those of all processes of a service, and those of the one that serves
HTTP; they also mean something on a machine that others use, where the rate does not.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.figures import Figure, Figures
from benchmarks.http import Connection
from benchmarks.load import service
from benchmarks.over_http import body
from benchmarks.workloads import Workload

CLIENTS = 16
ONE, TWO = "one process on one core", "two model processes on two cores"
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def pinned(cores: set[int], *arguments: str) -> Iterator[tuple[str, int]]:
    """Starts a service on these cores and yields its (base URL, process id)."""
    before = os.sched_getaffinity(0)
    with ExitStack() as stack:
        os.sched_setaffinity(0, cores)
        try:
            started = stack.enter_context(service("--cache-bytes", "0", *arguments))
        finally:
            os.sched_setaffinity(0, before)
        yield started


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU seconds that these processes have used, in user and in kernel mode."""
    return sum(sum(map(int, _stat(pid)[11:13])) for pid in pids) / TICKS


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    every = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    parents = {one: int(_stat(one)[1]) for one in every if Path(f"/proc/{one}/stat").exists()}
    found = [pid]
    for one in found:  # grows while it is read
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


async def rate_of(url: str, workload: Workload, groups: int) -> float:
    """Groups a second, when each client sends one after the other until all are answered."""
    waiting = [body(workload) for _ in range(groups)]

    async def client() -> None:
        connection = Connection(url)
        while waiting:
            status, answer = await connection.post("/v1/rewards", waiting.pop())
            assert status == 200, answer
        await connection.drop()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return groups / (time.perf_counter() - started)


def measure(workload: Workload, groups: int, rounds: int) -> Figures:
    first, second, *_ = sorted(os.sched_getaffinity(0))
    rates: dict[str, list[float]] = {ONE: [], TWO: []}
    seconds: dict[str, list[float]] = {ONE: [], TWO: []}
    serving: dict[str, list[float]] = {ONE: [], TWO: []}
    with pinned({first}) as one, pinned({first, second}, "--workers", "2") as two:
        for turn in range(rounds + 1):
            for name, (url, pid) in {ONE: one, TWO: two}.items():
                pids = family(pid)
                whole, own = cpu_seconds(pids), cpu_seconds([pid])
                rate = asyncio.run(rate_of(url, workload, groups if turn else 4))
                if turn:  # the first does not count
                    rates[name].append(rate)
                    seconds[name].append((cpu_seconds(pids) - whole) / groups)
                    serving[name].append((cpu_seconds([pid]) - own) / groups)
    figures: Figures = {}
    for name in (ONE, TWO):
        figures[f"{workload.name}, {name}: rate"] = Figure.of(rates[name], "a second", "higher")
        figures[f"{workload.name}, {name}: CPU"] = Figure.of(seconds[name], "s a group")
    figures[f"{workload.name}, {TWO}: CPU of the process that serves HTTP"] = Figure.of(
        serving[TWO], "s a group"
    )
    times = [two / one for one, two in zip(rates[ONE], rates[TWO], strict=True)]
    figures[f"{workload.name}: rate of two / of one"] = Figure.of(times, "times", "higher")
    dearer = [two / one for one, two in zip(seconds[ONE], seconds[TWO], strict=True)]
    figures[f"{workload.name}: CPU of two / of one"] = Figure.of(dearer, "times")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--groups", type=int, default=40)
    parser.add_argument("--words", type=int, default=400)
    given = parser.parse_args()
    for label, figure in measure(Workload(8, given.words), given.groups, given.rounds).items():
        print(f"{label:75s} {figure}")


if __name__ == "__main__":
    main()
