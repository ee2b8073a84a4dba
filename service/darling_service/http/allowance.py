"""What the callers with one key may ask of the service at one time, and when they may ask again."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from darling_service.errors import Overloaded
from darling_service.keys import ApiKey

TYPICAL_S = 1.0
"""Seconds that a request is taken to last before the first one has ended."""
SMOOTHING = 0.2
"""Weight of the newest request in the mean duration, which then spans some ten requests."""


class Allowance:
    """The requests of the callers with keys of one name, within the limits of that name."""

    def __init__(self) -> None:
        self._in_flight = 0
        self._free_at = 0.0
        """Time from which nothing is left of the requests that have come at once."""
        self._mean_s = TYPICAL_S

    @contextmanager
    def request(self, key: ApiKey) -> Iterator[None]:
        """Counts a request as long as it is answered. Raises `Overloaded` if it is over a limit.

        Its `retry_after_s` is when the rate lets the next one in, or when, by the mean duration of
        the requests so far, the next of those in flight ends.
        """
        limits, now = key.limits, monotonic()
        if limits.max_in_flight is not None and self._in_flight >= limits.max_in_flight:
            raise Overloaded(
                "key",
                f"the key {key.name!r} has {self._in_flight} requests in flight, as many as its "
                "max_in_flight; send this again later",
                retry_after_s=self._mean_s / limits.max_in_flight,
            )
        if limits.max_per_second is not None:
            self._spend(key.name, limits.max_per_second, now)
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self._mean_s += SMOOTHING * (monotonic() - now - self._mean_s)

    def _spend(self, name: str, max_per_second: float, now: float) -> None:
        """Takes one of the requests of which a second's worth, at least one, may come at once."""
        at_once_s = max(1.0, 1 / max_per_second)
        free_at = max(self._free_at, now) + 1 / max_per_second
        if free_at > now + at_once_s:
            raise Overloaded(
                "key",
                f"the key {name!r} has sent its max_per_second = {max_per_second:g} requests; "
                "send this again later",
                retry_after_s=free_at - now - at_once_s,
            )
        self._free_at = free_at
