"""Services that are stopped or killed under load: the client library gets every answer."""

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from darling_client import Client, Group
from tests.conftest import running, until
from tests.faults.rounds import ROUNDS

CALLERS = 6
RESTARTS = [5, pytest.param(int(os.environ.get("FAULT_RESTARTS", "50")), marks=pytest.mark.soak)]
"""Restarts under load, in the short and the long form."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Load:
    """Callers that ask without a pause until they are told to stop."""

    url: str
    answered: list[int] = field(default_factory=lambda: [0] * CALLERS)
    over: threading.Event = field(default_factory=threading.Event)

    def has_answered(self, calls: int) -> bool:
        return sum(self.answered) >= calls

    def call(self, caller: int) -> None:
        """Asks about groups that nobody has asked about, and compares every reward."""
        with Client(self.url, patience_s=300, backoff_s=0.02, longest_backoff_s=0.2) as client:
            while not self.over.is_set():
                number = f"{caller}.{self.answered[caller]}"
                alike, other = f"one of {number}", f"another of {number}"
                group = Group(prompt="p", rollouts=[alike, other, alike], quality=[1.0, 2.0, 4.0])
                (result,) = client.rewards([group])
                assert list(result.rewards) == [0.5, 2.0, 2.0]
                self.answered[caller] += 1


@contextmanager
def under_load(url: str) -> Iterator[Load]:
    """Fails if a call has raised, or had a wrong reward."""
    load = Load(url)
    with ThreadPoolExecutor(CALLERS) as pool:
        calls: list[Future[None]] = [pool.submit(load.call, caller) for caller in range(CALLERS)]
        try:
            yield load
        finally:
            load.over.set()
        for call in calls:
            call.result()
    assert all(load.answered), "every caller was answered"


def restarted(folder: Path, port: int, how: signal.Signals, times: int) -> int:
    """Stops a service under load so many times, each time at a random moment; another follows.

    Returns the number of calls that were answered.
    """
    moments = random.Random(7)
    with ExitStack() as stack:
        for turn in range(times + 1):
            log = folder / f"log-{turn}"
            with running(log, "--model", "exact", "--port", str(port)) as service:
                if turn == 0:
                    load = stack.enter_context(under_load(service.url))
                until(partial(load.has_answered, sum(load.answered) + CALLERS), 60)
                if turn == times:
                    load.over.set()
                    stack.close()
                    return sum(load.answered)
                time.sleep(moments.uniform(0.0, 0.2))
                service.process.send_signal(how)
                assert service.process.wait(timeout=60) == (0 if how == signal.SIGTERM else -how)
            assert "Traceback" not in log.read_text()
    raise AssertionError("the last service ends the load")


@pytest.mark.parametrize("times", RESTARTS)
def test_restarts_under_load_lose_no_request(tmp_path: Path, times: int) -> None:
    print("answered, all right:", restarted(tmp_path, free_port(), signal.SIGTERM, times))


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_killed_service_costs_its_callers_time_only(tmp_path: Path, rounds: int) -> None:
    print("answered, all right:", restarted(tmp_path, free_port(), signal.SIGKILL, rounds))
