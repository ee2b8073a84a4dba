"""Which host gets the next request: the least loaded one, or the one that a cohort belongs to."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence


class Hosts:
    """Base URLs, with the requests in flight to each and the time until it is avoided.

    Thread-safe.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(urls)
        self._in_flight = dict.fromkeys(urls, 0)
        self._avoided_until = dict.fromkeys(urls, 0.0)
        self._lock = threading.Lock()

    def take(self, key: str | None) -> str:
        """The base URL for the next try, counted as one more request in flight to that host.

        `give_back` it after the try. With a key, all clients that know the same hosts take the same
        one (rendezvous hashing), so that the members of a cohort meet. A host that is avoided is
        passed over, unless all are: then it is the one that is avoided for the shortest time.
        """
        with self._lock:
            now = time.monotonic()
            if key is None:
                order = sorted(self._urls, key=lambda url: self._in_flight[url])
            else:
                order = sorted(self._urls, key=lambda url: _weight(key, url))
            usable = [url for url in order if self._avoided_until[url] <= now]
            host = usable[0] if usable else min(order, key=lambda url: self._avoided_until[url])
            self._in_flight[host] += 1
            return host

    def give_back(self, url: str) -> None:
        """Counts one request less in flight to the host."""
        with self._lock:
            self._in_flight[url] -= 1

    def avoid(self, url: str, seconds: float) -> None:
        """Passes the host over for this long, or longer where that was said before."""
        with self._lock:
            until = time.monotonic() + seconds
            self._avoided_until[url] = max(self._avoided_until[url], until)

    def use_again(self, url: str) -> None:
        """Ends `avoid`: the host has responded."""
        with self._lock:
            self._avoided_until[url] = 0.0

    def wait_s(self) -> float:
        """Seconds until there is a host that is not avoided."""
        with self._lock:
            return max(min(self._avoided_until.values()) - time.monotonic(), 0.0)

    def in_flight(self) -> dict[str, int]:
        """The number of requests in flight to each host, by base URL."""
        with self._lock:
            return dict(self._in_flight)


def _weight(key: str, url: str) -> bytes:
    return hashlib.blake2b(f"{key}\0{url}".encode(errors="surrogatepass"), digest_size=8).digest()
