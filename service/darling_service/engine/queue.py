"""The fair queue: which work goes next, and how long a request would wait. Pure: no model, no event
loop, no clock.

Work waits in lanes by the size of the request that it is of; sizes within a factor of four share a
lane. A lane serves first come, first served, and lanes that have work get equal shares of what is
done. So a small request waits for others like it and for as much work of each larger size, never
for the whole of a giant; and a giant has its share however many small ones keep coming.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from darling_service.engine.speed import HALF_LIFE_S, Speed


class Queued(Protocol):
    """A piece of work as the queue sees it."""

    taken: bool
    """Whether it has left the queue. It may wait in several lanes, and leaves by the first."""

    @property
    def cost(self) -> float:
        """What it counts, in the queue's unit, such as tokens."""
        ...

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for its result."""
        ...


Work = TypeVar("Work", bound=Queued)


@dataclass(slots=True)
class Lane(Generic[Work]):
    """Requests of about one size."""

    works: deque[Work] = field(default_factory=deque)
    admitted: float = 0.0
    """Cost of the requests that were let in, less what has been done of it."""
    served: float = 0.0
    """Cost that has been served, with what others were served while this lane had no work."""
    recent: float = 0.0
    """Cost that has been served, of which less and less counts as more is served."""


@dataclass(slots=True, eq=False)
class Admission(Generic[Work]):
    """A request's place in the queue."""

    lane: Lane[Work]
    left: float
    """Cost of the request that has not been done."""

    def done(self, cost: float) -> None:
        """Some of its work is done, or will never be."""
        cost = min(cost, self.left)
        self.left -= cost
        self.lane.admitted -= cost


@dataclass(frozen=True, slots=True)
class Batch(Generic[Work]):
    works: list[Work] = field(default_factory=list)
    """What runs now; empty if nothing waits."""
    dropped: list[Work] = field(default_factory=list)
    """Work that nobody wants any more; it has left the queue."""


class FairQueue(Generic[Work]):
    """Waiting work, lane by lane."""

    def __init__(self, per_second: float) -> None:
        """`per_second`: the speed at which work is assumed to be done until it has been timed."""
        self.speed = Speed(per_second)
        self._lanes: dict[int, Lane[Work]] = {}
        self._reached = 0.0
        """`served` of the lane that was served last: a lane that gets work starts there."""

    def lane(self, cost: float) -> Lane[Work]:
        """The lane of requests of this cost."""
        return self._lanes.setdefault(int(cost).bit_length() // 2, Lane())

    def admit(self, cost: float) -> Admission[Work]:
        """Lets a request in. Its `left` must be done in the end, whatever comes of it."""
        lane = self.lane(cost)
        lane.admitted += cost
        return Admission(lane, cost)

    def wait_s(self, cost: float) -> float:
        """Seconds in which a request of this cost would be done, if it came now."""
        lane = self.lane(cost)
        return self.seconds_for(lane, lane.admitted + cost)

    def seconds_for(self, lane: Lane[Work], cost: float) -> float:
        """Seconds until so much of the lane is done.

        Meanwhile each other lane gets what it has and what is going to come, if that keeps coming
        as of late; but no more than this lane.
        """
        others = [other for other in self._lanes.values() if other is not lane]
        recent = sum(other.recent for other in self._lanes.values())
        total, before = cost, 0.0
        while total > before * 1.01:  # what comes while others are served takes time too
            before = total
            total = cost + sum(
                min(other.admitted + total * other.recent / max(recent, 1e-9), cost)
                for other in others
            )
        return total / self.speed.per_second

    def add(self, works: Iterable[Work], admission: Admission[Work]) -> None:
        """Work of a request, which waits at the end of its lane."""
        self._open(admission.lane).extend(works)

    def put_back(self, work: Work, admission: Admission[Work]) -> None:
        """Work that was served in part: the next of its lane."""
        work.taken = False
        self._open(admission.lane).appendleft(work)

    def next_batch(self, max_cost: float) -> Batch[Work]:
        """Removes and returns the next work, at most `max_cost` of it in sum.

        A piece of work that costs more goes alone.
        """
        batch: Batch[Work] = Batch()
        room = max_cost
        while waiting := [lane for lane in self._lanes.values() if lane.works]:
            lane = min(waiting, key=lambda lane: lane.served)
            work = lane.works[0]
            if not work.taken and work.wanted:
                if batch.works and work.cost > room:
                    break
                batch.works.append(work)
                room -= work.cost
                self._reached = lane.served
                lane.served += work.cost
                lane.recent += work.cost
            elif not work.taken:
                batch.dropped.append(work)
            work.taken = True
            lane.works.popleft()
        served = max_cost - room
        for lane in self._lanes.values():
            lane.recent *= 0.5 ** (served / self.speed.per_second / HALF_LIFE_S)
        return batch

    def _open(self, lane: Lane[Work]) -> deque[Work]:
        """The lane's works. A lane without any has saved up nothing while it had none."""
        if not lane.works:
            lane.served = max(lane.served, self._reached)
        return lane.works
