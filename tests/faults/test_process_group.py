"""Signals to the whole process group of a service: Ctrl-C in a terminal, a supervisor's stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import LISTENING, Service, until
from tests.texts import essay

CALLERS = 6
GROUPS, ROLLOUTS = 3, 48


@contextmanager
def in_a_group_of_its_own(log: Path) -> Iterator[Service]:
    """A service with two model processes, started as a shell starts it, not yet ready."""
    words = ["serve", "--port", "0", "--workers", "2", "--shutdown-grace-s", "100"]
    command = [sys.executable, "-m", "darling_service.cli", *words]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, text=True, start_new_session=True
        )
    try:
        until(lambda: LISTENING.search(log.read_text()) is not None, 60)
        found = LISTENING.search(log.read_text())
        assert found is not None
        yield Service(found[1], process, log)
    finally:
        process.kill()
        process.wait(30)


def has_ended(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def is_ready(service: Service) -> bool:
    return httpx.get(f"{service.url}/health/ready").status_code == 200


def ask(http: httpx.Client, caller: int) -> httpx.Response:
    """A request that takes about a second of the model's work."""
    groups = []
    for group in range(GROUPS):
        texts = [f"{caller} {group} {number} {essay(number, 60)}" for number in range(ROLLOUTS)]
        groups.append({"prompt": "Write.", "rollouts": texts, "quality": [1.0] * ROLLOUTS})
    return http.post("/v1/rewards", json={"groups": groups})


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_loses_no_request(tmp_path: Path, stop: signal.Signals) -> None:
    with in_a_group_of_its_own(tmp_path / "log") as service:
        until(lambda: is_ready(service), 120)
        with service.client() as http, ThreadPoolExecutor(CALLERS) as callers:
            asked = [callers.submit(ask, http, caller) for caller in range(CALLERS)]
            until(lambda: any(one.done() for one in asked), 60)
            assert not all(one.done() for one in asked)
            os.killpg(service.process.pid, stop)
            answers = [one.result() for one in asked]
        assert [answer.status_code for answer in answers] == [200] * CALLERS
        assert service.process.wait(timeout=120) == 0
        until(lambda: has_ended(service.process.pid), 30)
    said = service.log.read_text()
    assert "a model process has ended" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_while_it_loads_ends_all_of_it(
    tmp_path: Path, stop: signal.Signals
) -> None:
    with in_a_group_of_its_own(tmp_path / "log") as service:
        os.killpg(service.process.pid, stop)
        assert service.process.wait(timeout=120) == 0
        until(lambda: has_ended(service.process.pid), 30)
    assert "Traceback" not in service.log.read_text()


def test_model_processes_end_with_a_service_that_is_killed(tmp_path: Path) -> None:
    """Also in the middle of their work, and while they load."""
    for wait_ready in (True, False):
        with in_a_group_of_its_own(tmp_path / "log") as service, ExitStack() as stack:
            callers = stack.enter_context(ThreadPoolExecutor(1))
            http = stack.enter_context(service.client())
            if wait_ready:
                until(lambda: is_ready(service), 120)
                asked = callers.submit(ask, http, 0)
                time.sleep(0.1)
            service.process.kill()
            service.process.wait(30)
            until(lambda: has_ended(service.process.pid), 30)
            if wait_ready:
                assert isinstance(asked.exception(), httpx.TransportError)
