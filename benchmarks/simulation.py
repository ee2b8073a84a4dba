"""Replicas with a queue each that score groups and fail, in time that SimPy moves.

`benchmarks.replicas` says what is assumed, and prints what comes of it.
"""

import math
import random
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import simpy

Routing = Literal["hash", "turns", "shortest"]
Events = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Failures:
    mean_up_s: float
    """Mean seconds that a replica runs before it fails."""
    down_s: float
    """Seconds until it is back."""


@dataclass(slots=True)
class Group:
    number: int
    arrived: float
    service: float
    """Seconds that a replica takes for it."""
    tries: int = 0
    answered: float | None = None

    @property
    def wait(self) -> float:
        """Seconds for which it was not served by the replica that answered it."""
        assert self.answered is not None
        return self.answered - self.arrived - self.service


@dataclass(slots=True)
class Outcome:
    """What happened until the last group was answered."""

    groups: list[Group]
    seconds: float
    busy: list[float]
    """Seconds for which each replica served groups, also those that it did not end."""
    down: list[float]
    """Seconds for which each was down."""
    failures: int
    mean_in_system: float
    """Groups that had come and were not answered, on average over time."""
    served: list[int]
    """Groups that each replica answered."""
    split: int
    """Cohorts whose rollouts did not meet at one replica."""


class Fleet:
    """Replicas with a queue each, in simulated time."""

    def __init__(
        self,
        arrivals: Sequence[tuple[float, float]],
        replicas: int,
        routing: Routing,
        failures: Failures | None = None,
        cohort_s: float = 0.0,
        seed: int = 0,
    ) -> None:
        """`arrivals`: the time at which each group is complete, ascending, and its service time.
        `cohort_s`: seconds from the first to the last rollout of a group."""
        self._env = simpy.Environment()
        self._routing, self._failures, self._cohort_s = routing, failures, cohort_s
        self._source = random.Random(seed)
        self._groups = [Group(n, time, service) for n, (time, service) in enumerate(arrivals)]
        self._queues: list[deque[Group]] = [deque() for _ in range(replicas)]
        self._holders: dict[int, int] = {}
        """Which replica holds the rollouts of a group that is not yet complete, by its number."""
        self._load = [0.0] * replicas
        """Groups that each replica has; infinite while it is down."""
        self._work = [self._env.event() for _ in range(replicas)]
        self._turn = 0
        self._homeless: list[Group] = []
        """Groups that came while no replica was up."""
        self._done = self._env.event()
        self._left = len(self._groups)
        self._present, self._since, self._area = 0, 0.0, 0.0
        zeros = [0.0] * replicas
        self._outcome = Outcome(self._groups, 0.0, zeros, [*zeros], 0, 0.0, [0] * replicas, split=0)

    def run(self) -> Outcome:
        """Runs until every group is answered."""
        if self._groups:
            self._env.process(self._arrive())
            if self._cohort_s:
                self._env.process(self._open())
            for replica in range(len(self._queues)):
                server = self._env.process(self._serve(replica))
                if self._failures is not None:
                    self._env.process(self._fail(server, self._failures))
            self._env.run(self._done)
        self._outcome.seconds = now = float(self._env.now)
        self._outcome.mean_in_system = self._area / now if now else 0.0
        return self._outcome

    def _open(self) -> Events:
        """The first rollout of each group comes."""
        for group in self._groups:
            first = max(group.arrived - self._cohort_s, 0.0)
            yield self._env.timeout(first - self._env.now)
            self._hold(group.number)

    def _hold(self, number: int) -> None:
        """The rollouts of a group that is not yet complete go to a replica, if one is up."""
        if (replica := self._route(number)) is None:
            self._holders.pop(number, None)
        else:
            self._holders[number] = replica

    def _arrive(self) -> Events:
        for group in self._groups:
            yield self._env.timeout(group.arrived - self._env.now)
            self._count(1)
            if (holder := self._holders.pop(group.number, None)) is not None:
                self._outcome.split += holder != self._route(group.number)
            self._send(group)

    def _send(self, group: Group) -> None:
        replica = self._route(group.number)
        if replica is None:
            self._homeless.append(group)
            return
        self._queues[replica].append(group)
        self._load[replica] += 1
        if not self._work[replica].triggered:
            self._work[replica].succeed()

    def _route(self, number: int) -> int | None:
        """The replica that a group goes to now; None if none is up."""
        count = len(self._load)
        if self._routing == "shortest":
            least = min(self._load)
            return None if least == math.inf else self._load.index(least)
        if self._routing == "turns":
            first, self._turn = self._turn, (self._turn + 1) % count
        else:
            digest = blake2b(str(number).encode(), digest_size=8).digest()
            first = int.from_bytes(digest) % count
        places = (place % count for place in range(first, first + count))
        return next((place for place in places if self._load[place] < math.inf), None)

    def _serve(self, replica: int) -> Events:
        queue = self._queues[replica]
        while True:
            started: float | None = None
            try:
                while not queue:
                    self._work[replica] = self._env.event()
                    yield self._work[replica]
                started, group = float(self._env.now), queue[0]
                group.tries += 1
                yield self._env.timeout(group.service)
            except simpy.Interrupt:
                if started is not None:
                    self._outcome.busy[replica] += self._env.now - started
                assert self._failures is not None, "only they interrupt"
                yield from self._stay_down(replica, self._failures.down_s)
                continue
            queue.popleft()
            self._load[replica] -= 1
            self._outcome.busy[replica] += self._env.now - started
            self._outcome.served[replica] += 1
            group.answered = float(self._env.now)
            self._count(-1)
            self._left -= 1
            if self._left == 0:
                self._done.succeed()

    def _stay_down(self, replica: int, down_s: float) -> Events:
        """What the replica had goes to others; then it is away for so long."""
        lost = list(self._queues[replica])
        cohorts = [number for number, holder in self._holders.items() if holder == replica]
        self._queues[replica].clear()
        self._load[replica] = math.inf
        for group in lost:
            self._send(group)
        for number in cohorts:
            self._hold(number)
        yield self._env.timeout(down_s)
        self._outcome.down[replica] += down_s
        self._load[replica] = 0.0
        waiting, self._homeless = self._homeless, []
        for group in waiting:
            self._send(group)

    def _fail(self, server: simpy.Process, failures: Failures) -> Events:
        while True:
            yield self._env.timeout(self._source.expovariate(1 / failures.mean_up_s))
            self._outcome.failures += 1
            server.interrupt()
            yield self._env.timeout(failures.down_s)

    def _count(self, change: int) -> None:
        """Keeps the time integral of the number of groups in the system."""
        now = float(self._env.now)
        self._area += self._present * (now - self._since)
        self._present, self._since = self._present + change, now
