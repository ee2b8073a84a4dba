"""Simulates 1 to 1,000 replicas that score the groups of training runs, event by event.

    python -m benchmarks.replicas [--replicas 1 10 100 1000] [--tokens 4000] [--measured FILE]

Service times come from the cost model of `darling-reward size` and a lognormal spread, or with
`--measured FILE` from a JSON list of measured seconds, such as those of answers (`usage.seconds`).
What is assumed:

- Groups come one by one at random times (Poisson), as from trainers that score while they generate;
  or all of a step at once. Their number grows with the replicas.
- A replica scores one group after another on all its cores, first come, first served.
- Routing is by `hash` of the group, in `turns`, or to the `shortest` queue. Cohorts need the hash,
  as their rollouts come in separate requests.
- A replica fails after an exponential time and is back after a fixed one. Clients then send what it
  had again, from the beginning and at once. By hash, what belongs to a replica that is down goes to
  the next that runs.
- A cohort's rollouts come within some seconds. It is split when its replica comes back meanwhile,
  so that the later rollouts go to another replica than the earlier.
- The network costs nothing, no client gives up, no queue is full, and all replicas are as fast.

SimPy moves the clock. The same seed gives the same figures.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import get_args

import numpy as np

from benchmarks.simulation import Failures, Fleet, Outcome, Routing
from darling_service.sizing.cost import seconds
from darling_service.sizing.processors import PROCESSORS
from darling_service.sizing.work import Groups, work_of

COLUMNS = (
    *("replicas", "routing", "failures", "groups", "busy", "wait p50", "wait p99"),
    *("answered p99", "groups tried again", "split cohorts"),
)
AT_ONCE = ("replicas", "routing", "until the last group", "times an even share")


def stream(
    services: Sequence[float], replicas: int, busy: float, seed: int = 0
) -> list[tuple[float, float]]:
    """Groups with these service times that come at random and keep `replicas` busy for this share
    of the time."""
    source, time = random.Random(seed), 0.0
    rate = busy * replicas / fmean(services)
    arrivals = []
    for service in services:
        time += source.expovariate(rate)
        arrivals.append((time, service))
    return arrivals


def lognormal(mean: float, spread: float, count: int, seed: int = 0) -> list[float]:
    """Service times of this mean, whose logarithms have `spread` as their standard deviation."""
    source = random.Random(seed)
    return [mean * source.lognormvariate(-(spread**2) / 2, spread) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="*", default=[1, 10, 100, 1000])
    parser.add_argument("--cores", type=int, default=4, help="of a replica")
    parser.add_argument("--processor", default="amx")
    parser.add_argument("--rollouts", type=int, default=16)
    parser.add_argument("--tokens", type=float, default=4000)
    parser.add_argument("--seconds", type=float, help="that a group takes, in place of a model's")
    parser.add_argument("--spread", type=float, default=0.5, help="of the logarithm of the times")
    parser.add_argument("--measured", type=Path, help="JSON list of seconds, drawn from at random")
    parser.add_argument("--busy", type=float, default=0.7)
    parser.add_argument("--groups", type=int, default=40, help="for each replica, at least 20,000")
    parser.add_argument(
        "--up-hours", type=float, default=1.0, help="between two failures, on average"
    )
    parser.add_argument("--at-once", type=int, default=16, help="groups of a step for each replica")
    parser.add_argument("--down-seconds", type=float, default=30.0)
    parser.add_argument("--cohort-seconds", type=float, default=60.0)
    given = parser.parse_args()
    measured = None if given.measured is None else json.loads(given.measured.read_text())
    mean = given.seconds or modelled(given)
    if measured is None:
        print(f"a group takes {mean:.3g} s on average")
    failures = Failures(given.up_hours * 3600, given.down_seconds)

    def drawn(count: int) -> list[float]:
        if measured is None:
            return lognormal(mean, given.spread, count)
        return random.Random(0).choices(measured, k=count)

    print(f"| {' | '.join(COLUMNS)} |")
    for replicas in given.replicas:
        services = drawn(max(given.groups * replicas, 20_000))
        arrivals = stream(services, replicas, given.busy)
        for routing in get_args(Routing):
            for failing in (None, failures):
                cohort_s = given.cohort_seconds if routing == "hash" else 0.0
                found = Fleet(arrivals, replicas, routing, failing, cohort_s).run()
                print(row(replicas, routing, found), flush=True)
    print(f"| {' | '.join(AT_ONCE)} |")
    for replicas in given.replicas:
        services = drawn(given.at_once * replicas)
        even = sum(services) / replicas
        for routing in get_args(Routing):
            found = Fleet([(0.0, service) for service in services], replicas, routing).run()
            cells = (f"{found.seconds:.1f} s", f"{found.seconds / even:.2f}")
            print(f"| {replicas:,} | {routing} | {' | '.join(cells)} |", flush=True)


def modelled(given: argparse.Namespace) -> float:
    """Seconds that a group takes on a replica by the cost model."""
    work = work_of(Groups(1, given.rollouts, given.tokens, 200))
    cores: int = given.cores
    return seconds(work, PROCESSORS[given.processor].encoder, None) / cores


def row(replicas: int, routing: str, found: Outcome) -> str:
    """A line of the table."""
    waits = np.asarray([group.wait for group in found.groups])
    whole = waits + np.asarray([group.service for group in found.groups])
    again = sum(group.tries > 1 for group in found.groups)
    cells = (
        f"{replicas:,}",
        routing,
        f"{found.failures:,}",
        f"{len(found.groups):,}",
        f"{sum(found.busy) / found.seconds / replicas:.0%}",
        f"{np.percentile(waits, 50):.2f} s",
        f"{np.percentile(waits, 99):.1f} s",
        f"{np.percentile(whole, 99):.1f} s",
        f"{again:,}",
        f"{found.split:,}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
