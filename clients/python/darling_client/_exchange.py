"""One request until its result: every decision about hosts, retries and errors, without any I/O.

`exchange` is a generator of `Send` and `Pause` steps. The two clients carry the steps out, one with
blocking calls and one with awaits, and send the outcome of each back into the generator.
"""

from __future__ import annotations

import gzip
import hashlib
import random
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx

from darling_client._base import BaseClient
from darling_client._errors import (
    BadResponse,
    Overloaded,
    Unavailable,
    Unreachable,
    detail_of,
    refusal,
)
from darling_client._json import encoded
from darling_client._network import answered_by_other, failure
from darling_client._options import Options

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64)
"""Connections of one client. Each waiting member of a cohort holds one, so only the idle ones are
limited in number."""

BUSY = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses after which the same request may succeed."""

COHORT = "darling-cohort"
"""Header that names a request's cohort, by which a proxy sends siblings to the same replica."""

MAX_FAULTS = 3
"""Responses with status 500 to one request, after which it is given up. The service has a fault,
which may pass, or may come back with this very request."""


@dataclass(frozen=True)
class Call(Generic[T_co]):
    """A request and how to read its response."""

    path: str
    body: dict[str, Any]
    read: Callable[[Any], T_co]
    """The result in the response's JSON. Raises `ValueError`, `KeyError`, `TypeError` or
    `IndexError` when it is not there."""
    key: str | None = None
    """Requests with the same key go to the same host, and through a proxy to the same replica;
    None: to the least loaded one."""
    wait_s: float = 0
    """Seconds for which the service may hold the request on purpose; added to `timeout_s`."""


@dataclass(frozen=True)
class Send:
    """A step: post this and send back the response or the error."""

    url: str
    content: bytes
    headers: dict[str, str]
    timeout: httpx.Timeout


@dataclass(frozen=True)
class Pause:
    """A step: wait and send back None."""

    seconds: float


Outcome = httpx.Response | httpx.TransportError | None
"""The outcome of a step; None for a pause, and to start the generator."""

Steps = Generator[Send | Pause, Outcome, T]


def exchange(call: Call[T], client: BaseClient, deadline: float) -> Steps[T]:
    """Returns the result of the call. `deadline`: when it is given up, by `time.monotonic()`.

    Raises `DarlingError`.
    """
    options, hosts = client.options, client.hosts
    content, headers = _encode(call, options)
    tries = faults = 0
    while True:
        tries += 1
        host = hosts.take(call.key)
        url = host + call.path
        left_s = max(deadline - time.monotonic(), 0.001)
        answer_s = max(min(options.timeout_s + call.wait_s, left_s), 0.001)
        told = {"x-request-timeout": f"{answer_s:.3f}"} if options.send_timeout else {}
        timeout = httpx.Timeout(
            answer_s,
            connect=min(options.connect_timeout_s, left_s),
            pool=None,
        )
        try:
            outcome = yield Send(url, content, {**headers, **told}, timeout)
        finally:
            hosts.give_back(host)
        backoff_s = _backoff(tries, options)
        if isinstance(outcome, httpx.Response):
            status = outcome.status_code
            if status == 200:
                hosts.use_again(host)
                return _read(call, outcome, url)
            if status == 500:
                faults += 1
            elif status not in BUSY:
                raise refusal(status, _problem(outcome), url, answered_by_other(outcome, url))
            problem: Unavailable = Overloaded(
                f"{url} answered {status}: {detail_of(_problem(outcome))}"
                f"{answered_by_other(outcome, url)}"
            )
            if faults == MAX_FAULTS:
                raise problem
            pause_s = _retry_after(outcome, backoff_s)
            if call.key is None:
                hosts.avoid(host, pause_s)
                pause_s = hosts.wait_s()
        else:
            assert outcome is not None
            broken, host_is_down = failure(outcome, url)
            if not isinstance(broken, Unavailable):
                raise broken
            problem = broken
            pause_s = backoff_s
            if host_is_down and (call.key is None or isinstance(problem, Unreachable)):
                hosts.avoid(host, options.rest_s)
                pause_s = min(backoff_s, hosts.wait_s())
        if time.monotonic() + pause_s >= deadline:
            raise type(problem)(
                f"gave up after {tries} {'try' if tries == 1 else 'tries'}, as another would pass "
                f"patience_s = {options.patience_s:g}; raise it to wait longer. Last: {problem}"
            )
        client.outages.report(problem, deadline)
        yield Pause(pause_s)


def results_or_raise(outcomes: Iterable[T | Unavailable]) -> list[T]:
    """The results. Raises the first failure among the outcomes."""
    results = []
    for outcome in outcomes:
        if isinstance(outcome, Unavailable):
            raise outcome
        results.append(outcome)
    return results


def _encode(call: Call[T], options: Options) -> tuple[bytes, dict[str, str]]:
    content = encoded(call.body)
    headers = {"content-type": "application/json"}
    if call.key is not None:
        # A digest, as run and group may hold what no header can.
        key = call.key.encode(errors="surrogatepass")
        headers[COHORT] = hashlib.blake2b(key, digest_size=16).hexdigest()
    if options.token is not None:
        headers["authorization"] = f"Bearer {options.token}"
    if len(content) >= options.gzip_bytes:
        content = gzip.compress(content, compresslevel=1)
        headers["content-encoding"] = "gzip"
    return content, headers


def _read(call: Call[T], response: httpx.Response, url: str) -> T:
    try:
        return call.read(response.json())
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BadResponse(
            f"{url} answered 200 with {response.text[:200]!r} ({type(error).__name__}: {error}); "
            "check that it is a Darling Reward service, of a version that fits this client"
            f"{answered_by_other(response, url)}"
        ) from error


def _backoff(tries: int, options: Options) -> float:
    """Seconds to wait after this many tries."""
    longest = min(options.backoff_s * 2.0 ** min(tries - 1, 30), options.longest_backoff_s)
    return longest * random.uniform(0.5, 1)


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    """Seconds that `Retry-After` asks to wait, and up to a quarter more, so that callers that were
    refused together do not come back together; `otherwise` where it is missing or 0."""
    header = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(timezone.utc)).total_seconds()
        except (ValueError, TypeError):
            return otherwise
    return max(seconds, 0.0) * random.uniform(1, 1.25) or otherwise


def _problem(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text
