"""Says what a call is waiting for: a run that stands still should tell why."""

from __future__ import annotations

import logging
import threading
import time

log = logging.getLogger("darling_client")

EVERY_S = 10
"""A line at most this often: hundreds of requests of a client may wait for the same service."""


class Outages:
    """The lines of one client. Thread-safe."""

    def __init__(self) -> None:
        self._quiet_until = 0.0
        self._lock = threading.Lock()

    def tell(self, failure: Exception, deadline: float) -> None:
        """`deadline`: when the call is given up, by `time.monotonic()`."""
        now = time.monotonic()
        with self._lock:
            if now < self._quiet_until:
                return
            self._quiet_until = now + EVERY_S
        log.warning("asking again for up to %.0f s: %s", deadline - now, failure)
