"""A pool of HTTP servers that answer alike.

Each request goes to the host with the fewest in flight. A host that fails is left alone for a while
and its work goes to the others.
"""

import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from darling_models.errors import InputRejected, ModelError, ModelUnavailable

ROUNDS = 3
"""Times that every host is tried before a request fails."""
PAUSE_S = 0.25
"""Seconds to wait before the second round; the wait doubles with each round."""
REST_S = 5.0
"""Seconds that a failed host gets no requests, unless no other is left."""
TIMEOUT = httpx.Timeout(600.0, connect=5.0)
REJECTED = frozenset({400, 413, 422})
"""Statuses by which a host blames the input; another host would say the same."""
MISREAD = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What reading an answer of another shape than expected raises."""

T = TypeVar("T")


@dataclass(slots=True)
class _Host:
    url: str
    in_flight: int = 0
    resting_until: float = 0.0


class Hosts:
    """The servers of one model. Thread-safe, with pooled connections."""

    def __init__(
        self,
        urls: Sequence[str],
        requests_per_host: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Raises `ModelError` unless every URL is an HTTP one, without credentials."""
        self._hosts = [_Host(url.strip().rstrip("/")) for url in urls]
        for host in self._hosts:
            if not host.url.startswith(("http://", "https://")):
                raise ModelError(
                    f"{host.url!r} is not a URL of a host; write it like http://host:8000"
                )
            # A model's name is shown to every caller of the service.
            if httpx.URL(host.url).userinfo:
                raise ModelError("leave user and password out of the model's URL")
        connections = requests_per_host * len(self._hosts)
        limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=60
        )
        self._http = httpx.Client(timeout=TIMEOUT, limits=limits, headers=headers)
        weakref.finalize(self, self._http.close)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._hosts)

    def post(self, path: str, body: Any, read: Callable[[Any], T]) -> T:
        """The result of `read` on the answer of the first host that gives a readable one.

        An answer over which `read` raises one of `MISREAD` counts as a failure of the host. Raises
        `InputRejected` if a host blames the input, `ModelUnavailable` if none answers.
        """
        trouble = ""
        for attempt in range(ROUNDS * len(self._hosts)):
            rounds, place = divmod(attempt, len(self._hosts))
            if rounds and place == 0:
                time.sleep(PAUSE_S * 2 ** (rounds - 1))
            host = self._borrow()
            try:
                answer = self._http.post(f"{host.url}{path}", json=body)
                reply = f"{host.url} answered {answer.status_code}: {answer.text[:200]}"
                if answer.status_code in REJECTED:
                    raise InputRejected(reply)
                if answer.status_code == 200:
                    result = read(answer.json())
                    host.resting_until = 0.0
                    return result
                trouble = reply
            except (httpx.HTTPError, *MISREAD) as error:
                trouble = f"{host.url}: {error!r}"
            finally:
                self._give_back(host)
            host.resting_until = time.monotonic() + REST_S
        raise ModelUnavailable(f"no host of the model could answer; the last error: {trouble}")

    def _borrow(self) -> _Host:
        with self._lock:
            now = time.monotonic()
            awake = [host for host in self._hosts if host.resting_until <= now]
            # With all of them resting, the one that failed longest ago goes first.
            host = (
                min(awake, key=lambda h: h.in_flight)
                if awake
                else min(self._hosts, key=lambda h: h.resting_until)
            )
            host.in_flight += 1
            return host

    def _give_back(self, host: _Host) -> None:
        with self._lock:
            host.in_flight -= 1
