"""The memory that cohorts hold, within the setting `cohort_bytes`."""

from collections.abc import Callable

from darling_service.cohorts.cohort import Cohort
from darling_service.errors import Overloaded
from darling_service.telemetry import Telemetry

RETRY_AFTER_FULL_S = 2.0
"""Seconds after which a refused caller may find room: cohorts end within seconds."""


class CohortMemory:
    """Counts the bytes of every cohort, and lets finished ones go when they are too many."""

    def __init__(
        self, max_bytes: int, telemetry: Telemetry, forget: Callable[[Cohort], None]
    ) -> None:
        self._max_bytes = max_bytes
        self._telemetry = telemetry
        self._forget = forget
        self._held = 0
        self._finished: dict[Cohort, None] = {}
        """Oldest first: the first to go when memory is short."""

    def make_room(self, nbytes: int) -> None:
        """Forgets finished cohorts, oldest first. Raises `Overloaded` if that is not enough."""
        while self._finished and self._held + nbytes > self._max_bytes:
            self._forget(next(iter(self._finished)))
        if nbytes > 0 and self._held + nbytes > self._max_bytes:
            self._telemetry.cohort_events.labels("refused").inc()
            raise Overloaded(
                "cohorts",
                f"waiting rollouts hold {self._held} bytes and cohort_bytes is {self._max_bytes}; "
                "send this again later, or raise DARLING_COHORT_BYTES",
                retry_after_s=RETRY_AFTER_FULL_S,
            )

    def count(self, cohort: Cohort, known: bool) -> None:
        """Brings the count up to date with a cohort that has changed; `known`: it is still kept."""
        nbytes = max(cohort.used, cohort.reserved) if known else 0
        self._held += nbytes - cohort.counted
        cohort.counted = nbytes
        self._telemetry.cohort_bytes.set(self._held)

    def keep(self, cohort: Cohort) -> None:
        """A finished cohort stays, for retries and late siblings, as long as there is room."""
        self._finished[cohort] = None

    def drop(self, cohort: Cohort) -> None:
        self._finished.pop(cohort, None)
