"""Which host is asked: the least loaded one, or the one that a cohort belongs to."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence


class Hosts:
    """Base URLs with the requests each has in flight and until when it rests. Thread-safe."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(urls)
        self._in_flight = dict.fromkeys(urls, 0)
        self._resting = dict.fromkeys(urls, 0.0)
        self._lock = threading.Lock()

    def take(self, key: str | None) -> str:
        """The host for the next try, now with one request more in flight; `give_back` it.

        With a key, every client that knows the same hosts names the same one (rendezvous hashing),
        so that the members of a cohort meet. A host at rest is passed over unless all rest.
        """
        with self._lock:
            now = time.monotonic()
            if key is None:
                order = sorted(self._urls, key=lambda url: self._in_flight[url])
            else:
                order = sorted(self._urls, key=lambda url: _weight(key, url))
            awake = [url for url in order if self._resting[url] <= now]
            chosen = awake[0] if awake else min(order, key=lambda url: self._resting[url])
            self._in_flight[chosen] += 1
            return chosen

    def give_back(self, url: str) -> None:
        with self._lock:
            self._in_flight[url] -= 1

    def rest(self, url: str, seconds: float) -> None:
        """Leaves a host alone for a while."""
        with self._lock:
            self._resting[url] = max(self._resting[url], time.monotonic() + seconds)

    def woken(self, url: str) -> None:
        """It has answered."""
        with self._lock:
            self._resting[url] = 0.0

    def wait_s(self) -> float:
        """Seconds until a host can be asked."""
        with self._lock:
            return max(min(self._resting.values()) - time.monotonic(), 0.0)

    def in_flight(self) -> dict[str, int]:
        """Requests that each host has not answered yet."""
        with self._lock:
            return dict(self._in_flight)


def _weight(key: str, url: str) -> bytes:
    return hashlib.blake2b(f"{key}\0{url}".encode(errors="surrogatepass"), digest_size=8).digest()
