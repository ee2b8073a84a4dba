"""Limits of connections, with raw sockets against the real server."""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from darling_service.http import body_time, connection_limits
from darling_service.http.connection_limits import MAX_HEAD_BYTES, LimitedConnection
from darling_service.http.security_headers import SECURITY_HEADERS
from darling_service.listening import listen
from darling_service.server import BACKLOG, Server
from darling_service.settings import Settings
from tests.conftest import until

SHORT_S = 0.4
"""Seconds that each time limit has in these tests."""


@contextmanager
def served(**settings: Any) -> Iterator[int]:
    """The port of the real server, in a thread of this process."""
    values = {"model": "exact", "shutdown_grace_s": 0.1, **settings}
    with serving(Server(Settings(**values))) as port:
        yield port


@contextmanager
def serving(server: uvicorn.Server) -> Iterator[int]:
    sockets = listen("127.0.0.1", 0, BACKLOG)

    def run() -> None:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        until(lambda: server.started)
        yield sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served() as port:
        yield port


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (connection_limits, "HEAD_S"),
        (connection_limits, "LINGER_S"),
        (body_time, "STALLED_S"),
        (body_time, "SLOW_S"),
    ):
        monkeypatch.setattr(module, name, SHORT_S)


def talk(port: int, *parts: bytes, pause_s: float = 0.0, timeout_s: float = 20) -> bytes:
    """What the server says to these parts until it closes; "" where it does so without a word."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
        except (ConnectionResetError, BrokenPipeError):  # the rest is not wanted
            pass
        try:
            while received := connection.recv(2**16):
                answer += received
        except ConnectionResetError:
            pass
    return answer


def status(answer: bytes) -> int:
    """0 where the server has closed without a word."""
    return int(answer.split(maxsplit=2)[1]) if answer else 0


GET = b"GET /health/live HTTP/1.1\r\nHost: h\r\n"
CLOSE = b"Connection: close\r\n\r\n"
FILL = MAX_HEAD_BYTES - 200
"""Bytes of a header with which the head is just within its limit."""
OVER = MAX_HEAD_BYTES + 1

HEADS: dict[str, tuple[bytes, int]] = {
    "one long header": (b"X: " + b"a" * FILL + b"\r\n", 200),
    "one header over the limit": (b"X: " + b"a" * OVER + b"\r\n", 431),
    "many headers": (b"X: a\r\n" * 5_000, 200),
    "many headers over the limit": (b"X: a\r\n" * 40_000, 431),
    "a long name": (b"a" * OVER + b": 1\r\n", 431),
    "a header that does not end": (b"X: " + b"a" * 8 * OVER, 431),
    "a name that does not end": (b"a" * 8 * OVER, 431),
}


@pytest.mark.parametrize("case", HEADS)
def test_headers_over_the_limit_are_431(port: int, case: str) -> None:
    head, expected = HEADS[case]
    for data in ((GET + head + CLOSE,), (GET, head, CLOSE)):
        assert status(talk(port, *data)) == expected


def test_a_url_over_the_limit_is_431(port: int) -> None:
    for url in (b"/" + b"a" * OVER, b"/health/live?token=" + b"a" * OVER, b"/" + b"a" * 8 * OVER):
        answer = talk(port, b"GET " + url + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        assert status(answer) == 431
    assert status(talk(port, b"GET /" + b"a" * FILL + b" HTTP/1.1\r\nHost: h\r\n" + CLOSE)) == 404


def test_a_hundred_megabytes_of_header_keep_nobody_waiting(port: int) -> None:
    piece = b"a" * 2**20
    sending = threading.Thread(target=talk, args=(port, GET + b"X: ", *[piece] * 100))
    before = time.thread_time()
    sending.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        for _ in range(10):
            assert http.get("/health/live").status_code == 200
    sending.join()
    assert time.thread_time() - before < 5


POST = b"POST /v1/rewards HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "around",
    [
        b"0\r\nX: " + b"a" * 8 * OVER,  # a trailer that does not end
        b"0\r\n" + b"X: a\r\n" * 200_000,
        b"1;" + b"a" * 8 * OVER,  # an extension of a chunk
        b"0" * 8 * OVER,  # its size
    ],
)
def test_what_stands_around_a_body_has_the_same_limit(port: int, around: bytes) -> None:
    assert status(talk(port, CHUNKED, b"1\r\n{\r\n", around)) in (0, 400, 431)


def test_what_follows_a_body_is_no_header() -> None:
    with served(api_key="k") as port:
        body = b"2\r\n{}\r\n0\r\nAuthorization: Bearer k\r\n" + b"\r\n"
        request = CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body
        assert status(talk(port, request)) == 401


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), 0),
        ((b"\r\n",), 408),
        ((b"G",), 408),
        ((GET,), 408),
        ((GET + b"X: a",), 408),
        ((GET + b"\r\n" + GET,), 200),  # the second request of a connection
        ((POST + b"Content-Length: 9\r\n\r\n",), 408),
        ((POST + b"Content-Length: 9\r\n\r\n{",), 408),
        ((CHUNKED,), 408),
        ((CHUNKED + b"1\r\n{\r\n",), 408),
        ((CHUNKED + b"1\r\n{\r\n0\r\n",), 408),
    ],
)
def test_what_stalls_is_408(port: int, parts: Sequence[bytes], expected: int) -> None:
    answer = talk(port, *parts)
    assert status(answer) == expected
    if GET + b"\r\n" + GET in parts:
        assert b"HTTP/1.1 408" in answer
    if expected == 408:
        assert b"application/problem+json" in answer
        assert b"connection: close" in answer.lower()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("start", [GET + b"X: ", POST + b"Content-Length: 99999\r\n\r\n"])
def test_what_trickles_is_408(port: int, start: bytes) -> None:
    """A byte now and then does not begin the time anew."""
    answer = talk(port, start, *[b"a"] * 40, pause_s=SHORT_S / 10)
    assert status(answer) == 408


@pytest.mark.parametrize("length", [b"", b"Content-Length: 2\r\n"])
def test_an_idle_connection_ends_also_where_the_answer_came_before_the_body(
    length: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darling_service.server.KEEP_ALIVE_S", 1)
    with served(api_key="k") as port:
        answer = talk(port, POST + length + b"\r\n", *((b"{", b"}") if length else ()), pause_s=0.1)
    assert status(answer) == 401


@pytest.mark.usefixtures("hurried")
def test_a_body_that_goes_on_after_its_answer_is_cut_off() -> None:
    with served(api_key="k") as port:
        began = time.monotonic()
        parts = [b"a" * 1000] * 400
        answer = talk(port, POST + b"Content-Length: 99999999\r\n\r\n", *parts, pause_s=SHORT_S / 8)
        assert status(answer) == 401
        assert time.monotonic() - began < 10 * SHORT_S, "not as long as it sends"


def rollout_that_waits(seconds: float, *headers: bytes) -> bytes:
    """A request that is answered after this time, since its sibling does not come."""
    body = (
        b'{"group_id":"%s","prompt":"p","text":"t","quality":1,"group_size":2,"deadline_s":%g}'
        % (uuid4().hex.encode(), seconds)
    )
    length = b"Content-Length: %d\r\n" % len(body)
    head = POST.replace(b"rewards", b"rollouts")
    return b"".join([head, length, *headers, b"\r\n", body])


@pytest.mark.usefixtures("hurried")
def test_whoever_waits_for_siblings_is_not_timed(port: int) -> None:
    request = rollout_that_waits(5 * SHORT_S, b"Connection: close\r\n")
    assert status(talk(port, request)) == 200


@pytest.mark.parametrize(
    "after", [b"nonsense\r\n\r\n", b"X" * 8 * OVER, GET + b"X: " + b"a" * 8 * OVER]
)
def test_a_request_is_answered_whatever_comes_behind_it(port: int, after: bytes) -> None:
    for apart in (True, False):
        waiting = rollout_that_waits(0.5)
        answer = talk(port, *((waiting, after) if apart else (waiting + after,)), pause_s=0.1)
        assert status(answer) == 200
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"connection: close" in answer.lower()


BIG = b"a" * 50_000_000
"""More than the kernel's buffers of a connection hold."""


async def big_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(BIG)(scope, receive, send)


@pytest.mark.parametrize("head", [GET + b"\r\n", GET + CLOSE])
@pytest.mark.parametrize("reads", [False, True])
def test_a_caller_that_reads_no_answer_is_cut_off(head: bytes, reads: bool) -> None:
    """One that reads slowly is not."""
    options: Any = {"http": LimitedConnection, "timeout_keep_alive": 1, "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(big_answer, port=0, log_level="error", **options))
    with serving(server) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(30)
        connection.sendall(head)
        received = len(connection.recv(1))
        for _ in range(10 if reads else 1):
            time.sleep(0.4 if reads else 4)
            received += len(connection.recv(2**21 if reads else 1))
        if not reads:
            assert not server.server_state.connections
        received += sum(map(len, iter(lambda: received_or_nothing(connection), b"")))
    assert (received >= len(BIG)) == reads


def received_or_nothing(connection: socket.socket) -> bytes:
    try:
        return connection.recv(2**20)
    except ConnectionResetError:
        return b""


def test_connections_over_the_limit_get_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "max_connections", lambda: 3)
    with served() as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        answer = talk(port, GET + b"\r\n")
        assert status(answer) == 503
        assert b"retry-after: 20" in answer.lower()
        for connection in idle:
            connection.close()
        deadline = time.monotonic() + 20
        while status(talk(port, GET + CLOSE)) != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_limit_of_connections_leaves_files_for_the_rest() -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < connection_limits.max_connections() < files


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET + CLOSE,
        b"GET /docs HTTP/1.1\r\nHost: h\r\n" + CLOSE,
        b"GET /nowhere HTTP/1.1\r\nHost: h\r\n" + CLOSE,
        b"HEAD /health/live HTTP/1.1\r\nHost: h\r\n" + CLOSE,
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n" + CLOSE,
        POST + b"Content-Length: 1\r\n" + CLOSE + b"{",
        GET + b"X: " + b"a" * OVER,
        b"nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        GET + b"Upgrade: websocket\r\nConnection: upgrade, close\r\n\r\n",
    ],
)
def test_every_answer_has_the_security_headers(port: int, request_bytes: bytes) -> None:
    head = talk(port, request_bytes).partition(b"\r\n\r\n")[0].decode().lower()
    assert head
    for name, value in SECURITY_HEADERS:
        assert f"\r\n{name}: {value}".lower() in head
    assert "uvicorn" not in head
