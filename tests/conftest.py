"""A real service: `darling-reward serve` in a process of its own, on the embedded default."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from hypothesis import settings

from tests.commands import Command
from tests.processors.pretence import pretend, pretended
from tests.selection import starts_process

pretend()

# No deadline: a busy machine is no counterexample. In CI the same examples every time.
settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("suite")

LISTENING = re.compile(r"listening on (http://\S+),")
START_S = 300
"""Seconds until a service answers: some, or a minute with a Ray cluster of its own, and far more
where all the tests share two cores."""
STOP_S = 60
MODEL_PROCESSES = "MODEL_PROCESSES"
"""Environment variable that gives services of the default model so many workers: `make
test-workers`."""
ENGINE = "SERVICE_ENGINE"
"""Environment variable that gives services another engine: `make test-ray` sets it to ray."""
ENGINES = {"ray": ("--engine", "ray", "--ingress-cpus", "0")}
"""Arguments of a service with each engine. Its cluster has no more CPUs than this machine."""
FAULTS = Path(__file__).with_name("faults")
"""The folder of the tests that `make test-faults` runs, and `make test` does not."""

Running = Command | subprocess.Popen[str]

T = TypeVar("T")


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if starts_process(item):
            item.add_marker("process")
        if FAULTS in item.path.parents and not {"slow", "soak"} & {
            m.name for m in item.iter_markers()
        }:
            item.add_marker("faults")


@dataclass(frozen=True)
class Service:
    url: str
    process: Running
    log: Path

    def client(self, timeout: float = 120) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=timeout)


@contextmanager
def running(
    log: Path,
    *arguments: str,
    wait_ready: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """A service on a free port, stopped at the end; `environment` is added to this process's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DARLING_")}
    words = ["serve", "--port", "0", *arguments]
    if MODEL_PROCESSES in os.environ and not {"--model", "--workers"} & set(arguments):
        words += ["--workers", os.environ[MODEL_PROCESSES]]
    if ENGINE in os.environ and "--engine" not in arguments:
        words += ENGINES[os.environ[ENGINE]]
    own = {**kept, **(environment or {})}
    log.write_bytes(b"")
    process: Running
    if pretended():
        command = [sys.executable, "-m", "tests.processors.command", *words]
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=own, text=True)
    else:
        process = Command(words, stdout=log, stderr=log, environment=own)
    try:
        url = _until(lambda: LISTENING.search(log.read_text()), process, log).group(1)
        service = Service(url, process, log)
        if wait_ready:
            _until(lambda: _ready(service), process, log)
        yield service
    finally:
        process.terminate()
        process.wait(timeout=STOP_S)


def metric(service: Service, name: str) -> float:
    """A figure of /metrics by its name with labels, 0 where it is not there yet."""
    text = httpx.get(f"{service.url}/metrics").text
    line = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(line.group(1)) if line else 0.0


def until(check: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for something to happen, and fails where it does not in time."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _ready(service: Service) -> bool | None:
    return httpx.get(f"{service.url}/health/ready").status_code == 200 or None


def _until(check: Callable[[], T | None], process: Running, log: Path) -> T:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if (found := check()) is not None:
            return found
        if process.poll() is not None:
            raise RuntimeError(f"the service ended: {log.read_text()}")
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start: {log.read_text()}")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service") / "log") as service:
        yield service


@pytest.fixture(scope="session")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which two texts are equivalent if and only if they are equal."""
    with running(tmp_path_factory.mktemp("exact") / "log", "--model", "exact") as service:
        yield service


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client
