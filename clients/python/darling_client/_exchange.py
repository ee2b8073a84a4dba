"""One request until its answer: every decision about hosts, retries and errors, without any I/O.

`exchange` is a generator of `Send` and `Pause` steps. The two clients carry the steps out, one with
blocking calls and one with awaits, and send back what came of each.
"""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx

from darling_client._errors import (
    BadAnswer,
    DarlingError,
    Overloaded,
    TimedOut,
    Unavailable,
    Unreachable,
    refusal,
)
from darling_client._options import Options

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64)
"""Every waiting member of a cohort holds a connection, so their number has no limit here."""

BUSY = frozenset({408, 425, 429, 502, 503, 504})
FAULT_TRIES = 3
"""A 500 is a fault of the service, which may meet the same request again."""


@dataclass(frozen=True)
class Call(Generic[T_co]):
    """A request and how to read its answer."""

    path: str
    body: dict[str, Any]
    read: Callable[[Any], T_co]
    key: str | None = None
    """Requests with the same key go to the same host."""
    wait_s: float = 0
    """How long the service may hold the request on purpose; added to `timeout_s`."""


@dataclass(frozen=True)
class Send:
    url: str
    content: bytes
    headers: dict[str, str]
    timeout: httpx.Timeout


@dataclass(frozen=True)
class Pause:
    seconds: float


Outcome = httpx.Response | httpx.TransportError | None
Steps = Generator[Send | Pause, Outcome, T]


def exchange(call: Call[T], options: Options, deadline: float) -> Steps[T]:
    """The answer to `call`. `deadline`: by `time.monotonic()`. Raises `DarlingError`."""
    hosts = options.hosts
    content, headers = _encode(call.body, options)
    tries = faults = 0
    while True:
        tries += 1
        host = hosts.take(call.key)
        url = host + call.path
        left_s = max(deadline - time.monotonic(), 0.001)
        timeout = httpx.Timeout(
            min(options.timeout_s + call.wait_s, left_s),
            connect=min(options.connect_timeout_s, left_s),
            pool=None,
        )
        try:
            outcome = yield Send(url, content, headers, timeout)
        finally:
            hosts.give_back(host)
        backoff_s = _backoff(tries, options)
        if isinstance(outcome, httpx.Response):
            status = outcome.status_code
            if status == 200:
                hosts.woken(host)
                return _read(call, outcome, url)
            if status == 500:
                faults += 1
            elif status not in BUSY:
                raise refusal(status, _problem(outcome), url)
            failure: Unavailable = Overloaded(f"{url} answered {status}: {_detail(outcome)}")
            if faults == FAULT_TRIES:
                raise failure
            pause_s = _retry_after(outcome, backoff_s)
            if call.key is None:
                hosts.rest(host, pause_s)
                pause_s = hosts.wait_s()
        else:
            assert outcome is not None
            failure, rests = _failure(outcome, url)
            pause_s = backoff_s
            if rests and (call.key is None or isinstance(failure, Unreachable)):
                hosts.rest(host, options.rest_s)
                pause_s = min(backoff_s, hosts.wait_s())
        if time.monotonic() + pause_s >= deadline:
            raise type(failure)(
                f"gave up after {tries} tries, patience_s = {options.patience_s:g}; last: {failure}"
            )
        options.outages.tell(failure, deadline)
        yield Pause(pause_s)


def all_answered(answers: Iterable[T | Unavailable]) -> list[T]:
    """The answers. Raises the first failure among them."""
    answered = []
    for answer in answers:
        if isinstance(answer, Unavailable):
            raise answer
        answered.append(answer)
    return answered


def _encode(body: dict[str, Any], options: Options) -> tuple[bytes, dict[str, str]]:
    # A lone surrogate becomes its JSON escape, so that the service can name the field it is in.
    content = json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")
    headers = {"content-type": "application/json"}
    if options.token is not None:
        headers["authorization"] = f"Bearer {options.token}"
    if len(content) >= options.gzip_bytes:
        content = gzip.compress(content, compresslevel=1)
        headers["content-encoding"] = "gzip"
    return content, headers


def _read(call: Call[T], response: httpx.Response, url: str) -> T:
    try:
        return call.read(response.json())
    except DarlingError as error:
        raise type(error)(f"{url}: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BadAnswer(
            f"{url} answered 200 with {response.text[:200]!r} ({type(error).__name__}: {error}); "
            "is it a Darling Reward service, of a version that fits this client?"
        ) from error


def _failure(error: httpx.TransportError, url: str) -> tuple[Unavailable, bool]:
    """What a broken try means, and whether its host is better left alone for a while."""
    said = str(error) or type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return Unreachable(f"no connection to {url}: {said}; is the service running?"), True
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{url} did not answer in time ({said}); raise timeout_s"), True
    # An idle connection that the service has closed looks like this too: ask again.
    return Unreachable(f"the connection to {url} broke: {said}"), False


def _backoff(tries: int, options: Options) -> float:
    longest = min(options.backoff_s * 2.0 ** min(tries - 1, 30), options.longest_backoff_s)
    return longest * random.uniform(0.5, 1)


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    """Seconds until the service wants to be asked again, and up to a quarter more, so that those
    it sent away together do not come back together."""
    given = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(given) - datetime.now(timezone.utc)).total_seconds()
        except (ValueError, TypeError):
            return otherwise
    return max(seconds, 0.0) * random.uniform(1, 1.25) or otherwise


def _problem(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def _detail(response: httpx.Response) -> str:
    problem = _problem(response)
    return str(problem.get("detail", problem) if isinstance(problem, dict) else problem)[:500]
