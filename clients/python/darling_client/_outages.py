"""Logs why a call takes so long, so that a run that stands still says what it waits for."""

from __future__ import annotations

import logging
import threading
import time

log = logging.getLogger("darling_client")

LOG_EVERY_S = 10
"""Fewest seconds between two log lines of one client. Hundreds of its requests may wait for the
same service, and a person who watches the run needs one line of them."""


class Outages:
    """The failed tries of one client's requests. Thread-safe."""

    def __init__(self) -> None:
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def report(self, failure: Exception, deadline: float) -> None:
        """Logs the failure, unless another was logged within `LOG_EVERY_S`.

        `deadline`: when the call is given up, by `time.monotonic()`.
        """
        now = time.monotonic()
        with self._lock:
            if now < self._silent_until:
                return
            self._silent_until = now + LOG_EVERY_S
        log.warning("retrying for up to %.0f s: %s", deadline - now, failure)
