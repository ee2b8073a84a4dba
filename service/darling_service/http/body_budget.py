"""The bytes of request bodies that this process holds, within the setting `body_bytes`."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from darling_service.errors import Overloaded

RETRY_AFTER_S = 2.0
"""Seconds after which a refused body may find room: most requests are answered sooner."""
SMALL_BYTES = 2**16
"""Bytes up to which a body is small: that of a rollout or of a group of some texts."""
LARGE_SHARE = 0.75
"""Fraction of the budget that is free for large bodies, which may be held for minutes: the rest is
for small ones alone."""


class Held:
    """The bytes that one request holds. May be used in any thread."""

    def __init__(self, budget: "BodyBudget") -> None:
        self._budget = budget
        self._nbytes = 0

    def hold(self, nbytes: int) -> None:
        """Sets how many they are. Raises `Overloaded` if there is no room for so many."""
        self._budget.change(self._nbytes, nbytes)
        self._nbytes = nbytes

    def release(self) -> None:
        self.hold(0)


class BodyBudget:
    """Counts the bytes of bodies in flight, as they came and as they are inside."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._nbytes = 0

    @contextmanager
    def holding(self) -> Iterator[Held]:
        """The bytes of a request, none at first, and none after the block."""
        held = Held(self)
        try:
            yield held
        finally:
            held.release()

    def change(self, before: int, after: int) -> None:
        """A request holds `after` bytes, where it held `before`. Raises `Overloaded`.

        A body that is alone is let in whatever its size, so that none is refused for ever.
        """
        most = self._max_bytes if after <= SMALL_BYTES else LARGE_SHARE * self._max_bytes
        with self._lock:
            others = self._nbytes - before
            if after > before and others and others + after > most:
                raise Overloaded(
                    "bodies",
                    f"the bodies of other requests hold {others} bytes and body_bytes is "
                    f"{self._max_bytes}; send the request again later, or raise DARLING_BODY_BYTES",
                    retry_after_s=RETRY_AFTER_S,
                )
            self._nbytes = others + after
