"""The fair queue: order of work, budget of a batch, shares by size, and how long one waits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_service.engine.admission import MARGIN
from darling_service.engine.queue import Admission, FairQueue


@dataclass
class Piece:
    name: str
    cost: float = 1
    wanted: bool = True
    taken: bool = False


Queue = FairQueue[Piece]


def put(queue: Queue, *pieces: Piece) -> Admission[Piece]:
    """Lets a request in with all of its work."""
    admission = queue.admit(sum(piece.cost for piece in pieces))
    queue.add(pieces, admission)
    return admission


def names(pieces: Iterable[Piece]) -> list[str]:
    return [piece.name for piece in pieces]


def batches(queue: Queue, max_cost: float) -> list[list[str]]:
    """All batches until the queue is empty."""
    result = []
    while works := queue.next_batch(max_cost).works:
        result.append(names(works))
    return result


def test_an_empty_queue_gives_an_empty_batch() -> None:
    queue = Queue(1)
    put(queue)
    assert queue.next_batch(10).works == []


def test_first_come_first_served_and_a_batch_may_hold_several_groups() -> None:
    queue = Queue(1)
    put(queue, Piece("a1", 3), Piece("a2", 1))
    put(queue, Piece("b1", 1), Piece("b2", 4))
    assert batches(queue, 5) == [["a1", "a2", "b1"], ["b2"]]


@pytest.mark.parametrize("size", [11, 15])
def test_work_bigger_than_a_batch_goes_alone(size: int) -> None:
    queue = Queue(1)
    put(queue, Piece("first"), Piece("big", size), Piece("last"))
    assert batches(queue, 10) == [["first"], ["big"], ["last"]]


def test_a_small_group_comes_before_what_is_left_of_a_giant() -> None:
    queue = Queue(1)
    put(queue, *(Piece(f"giant {k}") for k in range(1000)))
    for _ in range(100):
        queue.next_batch(1)
    put(queue, Piece("small"))
    order = [name for batch in batches(queue, 1) for name in batch]
    assert order.index("small") <= 1
    assert order[-1] == "giant 999"


def test_unwanted_work_leaves_the_queue_and_takes_no_room() -> None:
    queue = Queue(1)
    put(queue, Piece("gone", wanted=False), Piece("a"), Piece("left", wanted=False), Piece("b"))
    batch = queue.next_batch(2)
    assert names(batch.works) == ["a", "b"]
    assert names(batch.dropped) == ["gone", "left"]
    assert queue.next_batch(2).dropped == []


def test_work_in_two_lanes_comes_once_in_the_lane_that_is_quicker() -> None:
    queue, shared = Queue(1), Piece("shared")
    put(queue, *(Piece(f"giant {k}") for k in range(100)), shared)
    put(queue, shared)
    order = [name for batch in batches(queue, 1) for name in batch]
    assert order.count("shared") == 1
    assert order.index("shared") <= 1


def test_work_put_back_is_the_next_of_its_lane() -> None:
    queue = Queue(1)
    admission = put(queue, Piece("first"), Piece("second"))
    (first,) = queue.next_batch(1).works
    queue.put_back(first, admission)
    assert batches(queue, 1) == [["first"], ["second"]]


costs = st.lists(st.lists(st.integers(1, 30), max_size=12), max_size=6)


@given(costs, st.integers(1, 40))
def test_all_work_comes_out_once_in_its_groups_order_within_the_budget(
    groups: list[list[int]], max_cost: int
) -> None:
    queue = Queue(1)
    for group, sizes in enumerate(groups):
        put(queue, *(Piece(f"{group} {place}", cost) for place, cost in enumerate(sizes)))
    out: list[str] = []
    while works := queue.next_batch(max_cost).works:
        assert len(works) == 1 or sum(work.cost for work in works) <= max_cost
        out += names(works)
    for group, sizes in enumerate(groups):
        mine = [name for name in out if name.startswith(f"{group} ")]
        assert mine == [f"{group} {place}" for place in range(len(sizes))]
    assert len(out) == sum(map(len, groups))


@given(costs, st.integers(1, 300))
def test_a_request_is_done_by_the_time_that_it_was_told(groups: list[list[int]], size: int) -> None:
    """At the speed that the queue assumes, and but for the one piece that runs when it comes."""
    queue = Queue(1)
    for group, sizes in enumerate(groups):
        put(queue, *(Piece(f"{group} {place}", cost) for place, cost in enumerate(sizes)))
    told = queue.wait_s(size)
    put(queue, *(Piece("mine") for _ in range(size)))
    elapsed = 0.0
    left = size
    while left:
        for piece in queue.next_batch(1).works:
            elapsed += piece.cost
            left -= piece.name == "mine"
    lanes, largest = 6, 30
    assert elapsed <= told + lanes * largest


CAPACITY = 1000.0
"""Cost that is done in a second."""
HOUR_S = 300.0
"""Seconds of load: an hour's worth, at a small scale."""


@dataclass(eq=False)
class Load:
    """Requests of one size that come all the time, and what becomes of them."""

    cost: int
    asked: float
    """The capacity that they ask for."""
    timeout_s: float
    coming: float = 0.0
    """When the next one comes."""
    refused: int = 0
    late: int = 0
    waits: list[float] = field(default_factory=list)

    @property
    def done(self) -> float:
        """The capacity that was spent on those that were answered in time."""
        return len(self.waits) * self.cost / (HOUR_S * CAPACITY)


@dataclass(eq=False)
class Pending:
    load: Load
    since: float
    admission: Admission[Piece]
    pieces: list[Piece]
    missing: int


@pytest.mark.parametrize("timeout_s", [10.0, 60.0])
@pytest.mark.parametrize("small", [0.1, 0.5, 1.0, 1.5, 1.9])
def test_every_size_has_its_share_at_twice_the_capacity(small: float, timeout_s: float) -> None:
    """Requests of 20 and of 2,000, which ask for `small` and 2 - `small` of the capacity."""
    loads = [Load(20, small, timeout_s), Load(2_000, 2 - small, timeout_s)]
    simulate(loads)
    for load in loads:
        share = min(load.asked, max(0.5, 1 - (2 - load.asked)))
        assert load.done >= 0.95 * share
        assert load.late == 0, "let in, so answered before its caller gives up"


def simulate(loads: list[Load]) -> None:
    """The queue under the loads; the clock counts the work that is done."""
    queue = Queue(CAPACITY)
    now = 0.0
    pending: dict[str, Pending] = {}
    number = count()
    while now < HOUR_S:
        for load in loads:
            while load.coming <= now:
                load.coming += load.cost / (load.asked * CAPACITY)
                if MARGIN * queue.wait_s(load.cost) > load.timeout_s:
                    load.refused += 1
                    continue
                name = str(next(number))
                pieces = [Piece(name, 20) for _ in range(load.cost // 20)]
                pending[name] = Pending(load, now, put(queue, *pieces), pieces, len(pieces))
        for name, one in list(pending.items()):
            if now - one.since > one.load.timeout_s:
                one.load.late += 1
                one.admission.done(one.admission.left)
                for piece in one.pieces:
                    piece.wanted = False
                del pending[name]
        works = queue.next_batch(100).works
        now += max(sum(work.cost for work in works), 1.0) / CAPACITY
        for work in works:
            if (current := pending.get(work.name)) is None:
                continue
            current.admission.done(work.cost)
            current.missing -= 1
            if not current.missing:
                current.load.waits.append(now - current.since)
                del pending[work.name]
