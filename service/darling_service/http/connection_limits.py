"""Limits of a connection, which hold before a key or a route is looked at; uvicorn has none.

| what | limit | answer |
|---|---|---|
| request line and headers, and what stands around the chunks of a body | `MAX_HEAD_BYTES` | 431 |
| time until the headers are there | `HEAD_S` | 408; none where nothing has come |
| time in which more of a body may follow its answer | `LINGER_S` | none |
| time without a byte of the answer being read | `timeout_keep_alive` | none |
| connections | `max_connections` | 503 |

`body_time` limits the time of a body.
"""

import asyncio
import resource
from functools import cache
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from darling_service.errors import (
    BadRequest,
    HeadersTooLarge,
    Problem,
    RequestTimeout,
    Unavailable,
)
from darling_service.http.problems import PROBLEM_TYPE, problem_response

MAX_HEAD_BYTES = 64 * 2**10
"""Bytes of a request's line and headers together. Trainers send less than 1 KiB, and proxies let 8
to 16 through."""
HEAD_S = 20.0
"""Seconds from a connection, or from the first byte of a later request, until the headers are
there. They fit into one packet; 20 s are several times what it takes to send one anew."""
LINGER_S = 20.0
"""Seconds in which a caller may go on sending a body that has been answered, as by a 401. To close
at once would reset the connection before the caller has read the answer."""
MAX_CONNECTIONS = 65_536
"""Connections at one time, of some 20 KiB each: 1.3 GB."""
SHARE_OF_FILES = 0.75
"""Part of the files that the process may open which connections may take."""
RETRY_AFTER_CROWDED_S = HEAD_S
"""Seconds after which a refused caller may find room: connections without a request end by then."""


@cache
def max_connections() -> int:
    """Connections that the process takes at one time, as its limit of open files allows."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files < 0 else min(MAX_CONNECTIONS, int(SHARE_OF_FILES * files))


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers in place of the app when there are too many connections."""
    problem = Unavailable(
        f"the service has {max_connections()} connections, as many as it takes; send this again "
        "later, or raise the limit of open files",
        retry_after_s=RETRY_AFTER_CROWDED_S,
    )
    response = problem_response(problem)
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


class LimitedConnection(HttpToolsProtocol):
    """uvicorn's connection, within the limits above."""

    _timer: asyncio.TimerHandle | None = None
    """Ends a request whose headers are late, or a body that goes on after its answer."""
    _in_head = False
    """Whether a request has begun whose headers are not there."""
    _in_body = False
    """Whether the headers of a request are there and the end of its body is not."""
    _head_bytes = 0
    """Bytes of the request's line and headers that have been read."""
    _raw_bytes = 0
    """Bytes that have come since the last of a body, or the end of a request or of its headers."""
    _refused = False
    """Whether what comes is read no more."""
    _unread_bytes = 0
    """Bytes of the answer that the caller had not read when it was last looked at."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer(HEAD_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._raw_bytes += len(data)
        super().data_received(data)
        if self._raw_bytes > MAX_HEAD_BYTES and not self._refused:
            self._refuse(_too_large())
        elif self._begun() and not self._in_body and self._timer is None:
            self._start_timer(HEAD_S, self._head_is_late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count_head(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(name, value)
        if not self._in_body:  # nobody reads what follows a body, which would pass for headers
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._in_head, self._in_body, self._raw_bytes = False, True, 0
        if len(self.connections) > max_connections():
            self.app = _crowded
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._raw_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_timer()
        self._in_body, self._raw_bytes = False, 0
        super().on_message_complete()
        if self.cycle.response_complete:  # before the body was, whose bytes have ended that time
            self._start_idle_time()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():  # once the caller has read the answer, if it ever does
            self._start_idle_time()
        elif self._in_body:
            self._start_timer(LINGER_S, self.transport.close)

    def timeout_keep_alive_handler(self) -> None:
        """Ends a connection that is idle, unless its caller is still reading an answer."""
        unread = self.transport.get_write_buffer_size()
        if unread and unread != self._unread_bytes:
            self._unread_bytes = unread
            self._start_idle_time()
        else:
            self.transport.abort()

    def _start_idle_time(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def send_400_response(self, msg: str) -> None:
        """Answers what the parser cannot read, or what `_count_head` has stopped."""
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_too_large())
        else:
            self._refuse(BadRequest("this is not HTTP/1.1; send a request of that protocol"))

    def _count_head(self, *parts: bytes) -> None:
        self._head_bytes += sum(map(len, parts))
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError  # which ends the parser's work

    def _begun(self) -> bool:
        """Whether a part of a request has come, if only an empty line before it."""
        return self._in_head or self._raw_bytes > 0

    def _answering(self) -> bool:
        """Whether a request of this connection waits for its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, problem: Problem) -> None:
        """Answers in place of the app and closes the connection.

        A request before this one gets its own answer first. Where more than one waits, or the body
        of one goes on, nothing that is said here could be told from its answer.
        """
        self._refused = True
        if self._in_body or self.pipeline:
            self.transport.close()
        elif self._answering():
            self.cycle.keep_alive = False
        elif not self.transport.is_closing():
            self._write(problem)
            self.transport.close()

    def _write(self, problem: Problem) -> None:
        body = orjson.dumps(problem.body())
        headers = [
            *self.server_state.default_headers,
            (b"content-type", PROBLEM_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        self.transport.write(b"".join([STATUS_LINE[problem.status], *lines, b"\r\n", body]))

    def _head_is_late(self) -> None:
        self._stop_timer()
        if self._answering():
            self._start_timer(HEAD_S, self._head_is_late)
        elif self._begun():
            self._refuse(
                RequestTimeout(f"the headers did not arrive within {HEAD_S:g} s; send them at once")
            )
        else:
            self.transport.close()

    def _start_timer(self, seconds: float, action: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, action)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge(
        f"the request's line and headers exceed {MAX_HEAD_BYTES} bytes; send texts in the body"
    )
