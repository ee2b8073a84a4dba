"""A pool of HTTP servers that answer alike.

Each request goes to the host with the fewest in flight. A host that fails is left alone for a while
and its work goes to the others. A host that asks for a pause gets it. What a host refuses for good
is not asked again, and what gets no answer in time is asked once more.
"""

import asyncio
import math
import re
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from darling_models.errors import (
    InputRejected,
    ModelBusy,
    ModelError,
    ModelUnavailable,
    ServerRefused,
)
from darling_models.options import DEFAULT_OPTIONS
from darling_models.remote.servers_loop import begin

ROUNDS = 3
"""Times that every host is tried before a request fails."""
PAUSE_S = 0.25
"""Seconds to wait before the second round; the wait doubles with each round."""
REST_S = 5.0
"""Seconds that a failed host gets no requests, unless no other is left."""
SILENCES = 2
"""Times that a request may go without an answer until it is given up."""
CONNECT_S = 5.0
"""Seconds in which a host takes a connection, which it does in a fraction of one."""
REJECTED = frozenset({400, 413, 422})
"""Statuses by which a host blames the input; another host would say the same."""
TRANSIENT = frozenset({408, 409, 425, 429})
"""Statuses from 300 to 499 that may be others soon; any other one blames the key, model or path."""
BUSY = 429
PAUSE_DEFAULT_S = 5.0
"""Seconds of the pause of a host that asks for one without saying how long."""
MAX_PAUSE_S = 300.0
"""Seconds of the longest pause that a host gets, whatever it asks for."""
MAX_WAIT_S = 2.0
"""Seconds that a request itself waits for a pause to end. A longer one is left to its caller, so
that the service goes on with other work."""
MAX_PORT = 65_535
QUOTED_CHARS = 400
"""Characters of a host's answer that an error quotes."""
MISREAD = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    RecursionError,
)
"""What reading an answer of another shape than expected raises."""

T = TypeVar("T")


@dataclass(slots=True)
class _Host:
    url: str
    in_flight: int = 0
    resting_until: float = 0.0
    pausing: bool = False
    """Whether it rests because it has asked for that."""

    def recovered(self) -> None:
        """Ends its rest after a failure. A pause goes on: the answer may be older than it."""
        if not self.pausing:
            self.resting_until = 0.0


class Hosts:
    """The servers of one model, with pooled connections, all on one event loop (`servers_loop`)."""

    def __init__(
        self,
        urls: Sequence[str],
        requests_per_host: int,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = DEFAULT_OPTIONS.model_timeout_s,
    ) -> None:
        """Raises `ModelError` unless every URL is an HTTP one, without credentials.

        `timeout_s`: seconds that a host has for a whole answer.
        """
        self._hosts = [_Host(url.strip().rstrip("/")) for url in urls]
        for host in self._hosts:
            # A model's name is shown to every caller of the service.
            if _url(host.url).userinfo:
                raise ModelError("leave user and password out of the model's URL")
        connections = requests_per_host * len(self._hosts)
        limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=60
        )
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        self._http = httpx.AsyncClient(timeout=timeout, limits=limits, headers=headers)
        weakref.finalize(self, _close, self._http).atexit = False
        self._slots = asyncio.Semaphore(connections)
        self._timeout_s = timeout_s

    def post(self, path: str, body: Any, read: Callable[[Any], T]) -> T:
        """What `ask` returns or raises, for a thread that waits for it."""
        return begin(self.ask(path, body, read)).result()

    async def ask(self, path: str, body: Any, read: Callable[[Any], T]) -> T:
        """The result of `read` on the answer of the first host that gives a readable one.

        Runs on the servers' loop. An answer over which `read` raises one of `MISREAD` counts as a
        failure of the host. Raises `InputRejected` if a host blames the input, `ServerRefused` if
        all of them blame the key, model or path, `ModelBusy` if all ask for a pause,
        `ModelUnavailable` if none answers.
        """
        async with self._slots:
            return await self._ask(path, body, read)

    async def _ask(self, path: str, body: Any, read: Callable[[Any], T]) -> T:
        trouble = in_log = ""
        silences = 0
        refusals: set[int] = set()
        for attempt in range(ROUNDS * len(self._hosts)):
            rounds, place = divmod(attempt, len(self._hosts))
            if rounds and place == 0:
                await asyncio.sleep(PAUSE_S * 2 ** (rounds - 1))
            if all(pauses := self._pauses()):
                await self._sit_out(min(pauses))
            host = self._borrow()
            rest_s = REST_S
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._http.post(f"{host.url}{path}", json=body)
                status = answer.status_code
                if status == 200:
                    result = read(answer.json())
                    host.recovered()
                    return result
                reply = f"{status}: {' '.join(answer.text[:QUOTED_CHARS].split())}"
                trouble, in_log = f"{host.url} answered {reply}", f"{host.url} answered {status}"
                if status in REJECTED:
                    raise InputRejected(reply, in_log=in_log)
                if status == BUSY:
                    rest_s, host.pausing = _pause(answer), True
                elif 300 <= status < 500 and status not in TRANSIENT:
                    refusals.add(id(host))
                    if len(refusals) == len(self._hosts):
                        raise ServerRefused(reply, in_log=in_log)
            except TimeoutError:
                trouble = f"{host.url} gave no answer in model_timeout_s = {self._timeout_s:g}"
                in_log = trouble
                silences += 1
            except (httpx.HTTPError, *MISREAD) as error:
                trouble = f"{host.url}: {error!r}"
                readable = isinstance(error, httpx.HTTPError)
                in_log = trouble if readable else f"{host.url} gave an answer that cannot be read"
            finally:
                host.in_flight -= 1
            host.resting_until = max(host.resting_until, time.monotonic() + rest_s)
            if silences == SILENCES:
                break
        if pauses := [pause for pause in self._pauses() if pause]:
            raise ModelBusy(trouble, min(pauses), in_log=in_log)
        none = "no host of the model could answer; the last error: "
        raise ModelUnavailable(none + trouble, in_log=none + in_log)

    def _pauses(self) -> list[float]:
        """Seconds that are left of each host's pause, 0 for a host that has not asked for one."""
        now = time.monotonic()
        return [max(host.resting_until - now, 0.0) if host.pausing else 0.0 for host in self._hosts]

    async def _sit_out(self, pause_s: float) -> None:
        """Waits for the end of a pause. Raises `ModelBusy` if it is a long one."""
        if pause_s > MAX_WAIT_S:
            raise ModelBusy("the model server has asked for a pause", pause_s)
        await asyncio.sleep(pause_s)

    def _borrow(self) -> _Host:
        """The host for the next try, counted as one more request in flight to it."""
        now = time.monotonic()
        awake = [host for host in self._hosts if host.resting_until <= now]
        # With all of them resting, one that failed is asked before one that wants its pause,
        # and the one that failed longest ago goes first.
        host = (
            min(awake, key=lambda h: h.in_flight)
            if awake
            else min(self._hosts, key=lambda h: (h.pausing, h.resting_until))
        )
        if awake:
            host.pausing = False
        host.in_flight += 1
        return host


def _close(client: httpx.AsyncClient) -> None:
    begin(client.aclose())


def _url(written: str) -> httpx.URL:
    """Raises `ModelError` unless it is an HTTP URL with a host."""
    try:
        url = httpx.URL(written)
        named = re.fullmatch(r"[\w.:-]+", url.host)
        if url.scheme in ("http", "https") and named and (url.port or 0) <= MAX_PORT:
            return url
    except (httpx.InvalidURL, ValueError):
        pass
    raise ModelError(f"{written!r} is not a URL of a host; write it like http://host:8000")


def json_number(value: Any) -> float:
    """A number in an answer. Raises `TypeError` for anything else, such as "0.5" or true."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _pause(answer: httpx.Response) -> float:
    """Seconds that a busy host asks to be left alone: its Retry-After, as a number or a date."""
    asked = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - time.time()
        except ValueError:
            return PAUSE_DEFAULT_S
    return min(max(seconds, 0.0), MAX_PAUSE_S) if math.isfinite(seconds) else PAUSE_DEFAULT_S
