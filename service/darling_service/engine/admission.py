"""Which requests are let in: those that would be answered before their callers give up."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from darling_service.engine.comparing import Comparison
from darling_service.engine.job import Work
from darling_service.engine.queue import Admission, FairQueue
from darling_service.errors import NoRoom
from darling_service.telemetry import Telemetry

MARGIN = 1.25
"""How much longer than expected a request must be able to wait to be let in. Under lasting overload
all of them wait for as long as they may, and one that is late has cost its work for nothing."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A request's places in the queues of the model and of comparing."""

    tokens: Admission[Work]
    pairs: Admission[Comparison]

    def end(self) -> None:
        """Gives the places up, whatever has been done."""
        self.tokens.done(self.tokens.left)
        self.pairs.done(self.pairs.left)


class Admissions:
    """Lets requests in by what is ahead of them in the two queues, and by how fast that is done."""

    def __init__(
        self,
        tokens: FairQueue[Work],
        pairs: FairQueue[Comparison],
        max_queue_tokens: int,
        telemetry: Telemetry,
    ) -> None:
        self._tokens = tokens
        self._pairs = pairs
        self._max_queue_tokens = max_queue_tokens
        self._telemetry = telemetry
        self._requests = 0

    @contextmanager
    def reserve(self, tokens: int, pairs: int, due: float = math.inf) -> Iterator[Reservation]:
        """Lets in a whole request. Raises `NoRoom` before any of it runs if it is not let in.

        `tokens`: what the model has to read. `pairs`: what comparing costs (`Job.comparing`).
        `due`: event-loop time at which the caller gives up. A request is refused if it would not
        be answered by then, or if the requests of its size would hold more than `max_queue_tokens`.
        Where no other request is, it is let in, so that none is refused for ever.
        """
        if self._requests:
            self._check_room(tokens)
            self._check_time(tokens, pairs, due)
        reservation = Reservation(self._tokens.admit(tokens), self._pairs.admit(pairs))
        self._requests += 1
        self._telemetry.queue_tokens.inc(tokens)
        try:
            yield reservation
        finally:
            self._requests -= 1
            self._telemetry.queue_tokens.dec(tokens)
            reservation.end()

    def _check_room(self, tokens: int) -> None:
        lane = self._tokens.lane(tokens)
        over = lane.admitted + tokens - self._max_queue_tokens
        if over <= 0 or lane.admitted == 0:
            return
        raise NoRoom(
            "queue",
            f"the queue is full: {lane.admitted:.0f} tokens of requests of this size wait for the "
            f"model and max_queue_tokens is {self._max_queue_tokens}; send the request again "
            "later, or in smaller parts",
            retry_after_s=self._tokens.seconds_for(lane, min(over, lane.admitted)),
        )

    def _check_time(self, tokens: int, pairs: int, due: float) -> None:
        wait_s = MARGIN * (self._tokens.wait_s(tokens) + self._pairs.wait_s(pairs))
        left_s = due - asyncio.get_running_loop().time()
        if wait_s <= left_s:
            return
        alone_s = tokens / self._tokens.speed.per_second + pairs / self._pairs.speed.per_second
        if alone_s * MARGIN > left_s:
            raise NoRoom(
                "time",
                f"an answer would take about {alone_s:.1f} s by itself, and may take "
                f"{max(left_s, 0):.1f} s by X-Request-Timeout or request_timeout_s; wait longer, "
                "or send the request in smaller parts",
            )
        raise NoRoom(
            "time",
            f"an answer would take about {wait_s:.1f} s, after the requests that are ahead, and "
            f"may take {max(left_s, 0):.1f} s by X-Request-Timeout or request_timeout_s; send the "
            "request again later, or in smaller parts",
            retry_after_s=wait_s - left_s,
        )
