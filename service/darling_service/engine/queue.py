"""The fair queue: which work goes into the next model batch. Pure: no model, no event loop.

Groups wait first come, first served; a batch takes work from the front group, then from the next,
until its token budget is used. A group that has taken `TURN_BATCHES` batches' worth of tokens goes
to the end of the queue, so that a giant group delays each of the others by one turn at most.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

TURN_BATCHES = 4
"""Length of a group's turn, in full batches. Four take about 1.2 s with the embedded default on two
cores: a small group waits no longer than that behind a giant one."""


class Queued(Protocol):
    """A piece of work as the queue sees it."""

    @property
    def tokens(self) -> int: ...

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for its result."""
        ...


Work = TypeVar("Work", bound=Queued)


@dataclass(slots=True)
class Turn(Generic[Work]):
    """One group's waiting work."""

    works: deque[Work]
    spent: int = 0
    """Tokens the group has taken since its turn began."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[Work]):
    works: list[Work] = field(default_factory=list)
    """What the model runs now; empty if nothing waits."""
    dropped: list[Work] = field(default_factory=list)
    """Work that nobody wants any more; it has left the queue."""


class FairQueue(Generic[Work]):
    """Waiting work, group by group."""

    def __init__(self, max_batch_tokens: int) -> None:
        self._max_batch_tokens = max_batch_tokens
        self._turns: deque[Turn[Work]] = deque()

    def add(self, works: Iterable[Work]) -> None:
        """One group's work, which starts at the end of the queue."""
        if waiting := deque(works):
            self._turns.append(Turn(waiting))

    def next_batch(self) -> Batch[Work]:
        """Removes and returns the next work, at most `max_batch_tokens` of it in sum.

        A piece of work that is bigger than a batch goes alone.
        """
        batch: Batch[Work] = Batch()
        room = self._max_batch_tokens
        while self._turns:
            turn = self._turns[0]
            if not turn.works:
                self._turns.popleft()
                continue
            work = turn.works[0]
            if not work.wanted:
                batch.dropped.append(turn.works.popleft())
                continue
            if batch.works and work.tokens > room:
                break
            batch.works.append(turn.works.popleft())
            room -= work.tokens
            turn.spent += work.tokens
            if turn.spent >= TURN_BATCHES * self._max_batch_tokens:
                turn.spent = 0
                self._turns.rotate(-1)
        return batch
