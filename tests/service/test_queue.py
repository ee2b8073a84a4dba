"""The fair queue: the order of work, the token budget, turns, and work that nobody wants."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_service.engine.queue import TURN_BATCHES, FairQueue


@dataclass
class Piece:
    name: str
    tokens: int = 1
    wanted: bool = True


def names(pieces: list[Piece]) -> list[str]:
    return [piece.name for piece in pieces]


def batches(queue: FairQueue[Piece]) -> list[list[str]]:
    """All batches until the queue is empty."""
    result = []
    while works := queue.next_batch().works:
        result.append(names(works))
    return result


def test_an_empty_queue_gives_an_empty_batch() -> None:
    queue: FairQueue[Piece] = FairQueue(10)
    queue.add([])
    assert queue.next_batch().works == []


def test_first_come_first_served_and_a_batch_may_hold_several_groups() -> None:
    queue: FairQueue[Piece] = FairQueue(4)
    queue.add([Piece("a1", 2), Piece("a2", 1)])
    queue.add([Piece("b1", 1), Piece("b2", 3)])
    assert batches(queue) == [["a1", "a2", "b1"], ["b2"]]


@pytest.mark.parametrize("size", [11, 1000])
def test_work_bigger_than_a_batch_goes_alone(size: int) -> None:
    queue: FairQueue[Piece] = FairQueue(10)
    queue.add([Piece("small"), Piece("giant", size), Piece("last")])
    assert batches(queue) == [["small"], ["giant"], ["last"]]


def test_after_its_turn_a_giant_group_lets_the_others_go_first() -> None:
    queue: FairQueue[Piece] = FairQueue(1)
    queue.add([Piece(f"giant {k}") for k in range(2 * TURN_BATCHES + 1)])
    queue.add([Piece("small")])
    order = [name for batch in batches(queue) for name in batch]
    assert order.index("small") == TURN_BATCHES
    assert order[-1] == f"giant {2 * TURN_BATCHES}"


def test_unwanted_work_leaves_the_queue_and_takes_no_room() -> None:
    queue: FairQueue[Piece] = FairQueue(2)
    queue.add([Piece("gone", wanted=False), Piece("a"), Piece("left", wanted=False), Piece("b")])
    batch = queue.next_batch()
    assert names(batch.works) == ["a", "b"]
    assert names(batch.dropped) == ["gone", "left"]
    assert queue.next_batch().dropped == []


groups_of_tokens = st.lists(st.lists(st.integers(1, 30), max_size=12), max_size=6)


@given(groups_of_tokens, st.integers(1, 40))
def test_all_work_comes_out_once_in_its_groups_order_within_the_budget(
    groups: list[list[int]], max_batch_tokens: int
) -> None:
    queue: FairQueue[Piece] = FairQueue(max_batch_tokens)
    for group, sizes in enumerate(groups):
        queue.add([Piece(f"{group} {place}", tokens) for place, tokens in enumerate(sizes)])
    out: list[str] = []
    while works := queue.next_batch().works:
        assert len(works) == 1 or sum(work.tokens for work in works) <= max_batch_tokens
        out += names(works)
    for group, sizes in enumerate(groups):
        mine = [name for name in out if name.startswith(f"{group} ")]
        assert mine == [f"{group} {place}" for place in range(len(sizes))]
    assert len(out) == sum(map(len, groups))
