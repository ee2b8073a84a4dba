"""Starting and stopping: what a start refuses, and what a stop owes to whoever is connected."""

import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_service.listening import listen
from darling_service.server import END_S, LINGER_S
from darling_service.settings import Settings
from tests.commands import run_command
from tests.conftest import Service, metric, running, until
from tests.servers.silent import silent

GROUP = {"prompt": "Name a colour.", "rollouts": ["Blue.", "Red.", "Blue."], "quality": [1, 2, 3]}
REWARDS = [0.5, 2.0, 1.5]
"""Of that group by the model `exact`: two of the three are alike."""
TIMES = [
    name
    for name, field in Settings.model_fields.items()
    if field.annotation is float and name.endswith("_s")
]


def refused_start(*arguments: str | Path) -> str:
    """The one line by which a start says why there is none."""
    ended = run_command("serve", "--port", "0", "--model", "exact", *arguments)
    assert ended.returncode == 2, ended.stderr
    said = [line for line in ended.stderr.splitlines() if " INFO " not in line]
    assert len(said) == 1, ended.stderr
    assert said[0].startswith("darling-reward serve: ")
    return said[0]


def test_a_port_that_is_taken_is_said_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_command("serve", "--port", port)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"darling-reward serve: cannot listen on port {port} of 127.0.0.1: another process listens "
        "there; stop it, or choose another port with --port (DARLING_PORT)\n"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "☃" * 70])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    assert "--host (DARLING_HOST)" in refused_start("--host", host)


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "0", "1e9", "soon"])
@pytest.mark.parametrize("name", TIMES)
def test_a_time_that_no_timer_counts_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.model_validate({name: value})


def test_every_time_of_the_settings_is_bounded() -> None:
    assert {"shutdown_grace_s", "request_timeout_s", "cohort_ttl_s"} <= set(TIMES)


REFUSED: dict[str, tuple[str, str]] = {
    "--shutdown-grace-s": ("inf", "--shutdown-grace-s (DARLING_SHUTDOWN_GRACE_S) is 'inf'"),
    "--visits-file": ("/no such folder/visits.db", "visits_file /no such folder/visits.db"),
    "--model": ("cross-encoder:/no such folder", "there is no folder '/no such folder'"),
    "--quality": ("reward-model:/no such folder", "there is no folder '/no such folder'"),
    "--api-key-file": ("/no such file", "--api-key-file (DARLING_API_KEY_FILE)"),
}


@pytest.mark.parametrize("flag", REFUSED)
def test_what_cannot_work_ends_the_start_with_one_line(flag: str) -> None:
    value, words = REFUSED[flag]
    assert words in refused_start(flag, value)


def test_a_visits_file_that_cannot_be_used_is_said_before_anything_is_loaded() -> None:
    said = refused_start(
        "--visits-file", "/no such folder/v.db", "--quality", REFUSED["--quality"][0]
    )
    assert "visits_file" in said


def test_every_address_of_a_host_has_the_port_that_was_free() -> None:
    sockets = listen("localhost", 0, 1)
    try:
        assert len({bound.getsockname()[1] for bound in sockets}) == 1
    finally:
        for bound in sockets:
            bound.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_the_url_that_the_log_names_can_be_asked_with_ipv6_too(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--model", "exact", "--host", "::1") as service:
        assert service.url.startswith("http://[::1]:")
        assert httpx.get(f"{service.url}/health/ready").status_code == 200


@contextmanager
def stopped_for_a_moment(service: Service) -> Iterator[None]:
    """The process stands still meanwhile: connections reach its backlog, and are not accepted."""
    service.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        service.process.send_signal(signal.SIGCONT)


def test_requests_in_the_backlog_are_answered_by_a_service_that_stops(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--model", "exact") as service, ExitStack() as connections:
        answers = []
        with stopped_for_a_moment(service):
            for number in range(24):
                connection = connections.enter_context(connected(service))
                connection.sendall(request({"groups": [GROUP | {"id": number}]}))
                answers.append(connection)
            service.process.terminate()
        for number, connection in enumerate(answers):
            (group,) = received(connection)["groups"]
            assert (group["id"], group["rewards"]) == (number, REWARDS)
        assert service.process.wait(timeout=30) == 0


def test_a_rollout_whose_body_ends_after_the_signal_does_not_wait_for_siblings(
    tmp_path: Path,
) -> None:
    body = {"run": "r", "group_id": "g", "group_size": 2, "prompt": "p", "text": "t", "quality": 1}
    sent = request(body, "rollouts")
    arguments = ("--model", "exact", "--shutdown-grace-s", "20")
    with running(tmp_path / "log", *arguments) as service, connected(service) as connection:
        connection.sendall(sent[:-1])
        until(lambda: metric(service, "darling_requests_in_flight") == 2)  # and the question itself
        service.process.terminate()
        time.sleep(2 * LINGER_S)
        connection.sendall(sent[-1:])
        answer = received(connection)
        assert (answer["group_complete"], answer["reward"]) == (False, 1.0)
        assert service.process.wait(timeout=30) == 0


def test_a_slow_reader_gets_the_whole_answer_within_the_grace(tmp_path: Path) -> None:
    words = [" ".join(map(str, range(n % 37, n % 37 + 3 + n % 11))) for n in range(512)]
    group = {"prompt": "p", "rollouts": words, "quality": [1.0] * 512}
    body = {"groups": [group] * 4, "return_probabilities": True}
    arguments = ("--model", "unigram", "--shutdown-grace-s", "60")
    with running(tmp_path / "log", *arguments) as service, connected(service) as connection:
        connection.sendall(request(body))
        start = connection.recv(1000)  # the rest is more than the system's buffers hold
        service.process.terminate()
        time.sleep(2.0)
        head, _, answer = start.partition(b"\r\n\r\n")
        (length,) = (
            int(line.split(b":")[1])
            for line in head.lower().splitlines()
            if line.startswith(b"content-length")
        )
        assert length > 7 * 2**20
        while more := connection.recv(2**20):
            answer += more
        assert len(answer) == length
        assert service.process.wait(timeout=30) == 0


def connected(service: Service) -> socket.socket:
    url = httpx.URL(service.url)
    assert url.port is not None
    return socket.create_connection((url.host, url.port), timeout=30)


def request(body: Any, route: str = "rewards") -> bytes:
    raw = json.dumps(body).encode()
    head = f"POST /v1/{route} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


def received(connection: socket.socket) -> Any:
    """The JSON of a response with status 200."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    assert response.status == 200
    return json.load(response)


def test_a_stop_answers_whoever_stalls_and_ends_within_its_limit(tmp_path: Path) -> None:
    """Bodies that never end, and a reward server that never answers."""
    head = b"POST /v1/rewards HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"
    with silent() as server:
        arguments = ("--model", "exact", "--quality", server.url, "--shutdown-grace-s", "1")
        with running(tmp_path / "log", *arguments) as service, httpx.Client() as watching:
            stalled = [connected(service) for _ in range(100)]
            for connection in stalled:
                connection.sendall(head)
            body = {"query": ["p a"], "prompts": ["p"], "labels": ["x"]}
            hung: Future[httpx.Response]
            with ThreadPoolExecutor(1) as callers:
                url = f"{service.url}/get_reward?n=1"
                hung = callers.submit(lambda: httpx.post(url, json=body, timeout=60))
                until(lambda: bool(server.swallowed))
                assert watching.get(f"{service.url}/health/ready").status_code == 200
                started = time.monotonic()
                service.process.terminate()
                time.sleep(0.3)
                assert watching.get(f"{service.url}/health/ready").status_code == 503
            assert hung.result().status_code == 503
            assert hung.result().headers["retry-after"] == "5"
            for connection in stalled:
                assert connection.recv(12) == b"HTTP/1.1 503"
                connection.close()
            assert service.process.wait(timeout=30) == 0
            assert time.monotonic() - started < 1 + END_S, "and not by the last resort"
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "requests without an answer, which now get 503: 101" in log


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    arguments = ("--model", "exact", "--shutdown-grace-s", "60")
    with running(tmp_path / "log", *arguments) as service, ThreadPoolExecutor(1) as callers:
        answer = callers.submit(
            httpx.post, f"{service.url}/v1/rewards", content=slowly(), timeout=60
        )
        until(lambda: metric(service, "darling_requests_in_flight") >= 1)
        service.process.terminate()
        time.sleep(0.5)
        service.process.terminate()
        assert service.process.wait(timeout=10) == 128 + signal.SIGTERM
        with pytest.raises(httpx.TransportError):
            answer.result()


def slowly() -> Iterator[bytes]:
    """A body whose second half comes after a minute, or once its connection breaks."""
    yield b"{"
    for _ in range(600):
        time.sleep(0.1)
        yield b" "
