"""Twice the load that a service can bear from 500 connections, and a soak at 80 % of capacity.

The long forms are those of `make soak`, where SOAK_S sets the seconds of the soak.
"""

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.conftest import Service, running, until
from tests.faults.load import (
    Outcome,
    answers,
    open_files,
    pace,
    press,
    quantile,
    requests,
    resident_bytes,
    slope,
)

CONNECTIONS = 500
BODIES = 60
QUEUE_TOKENS = 8_000
"""Some two seconds of work for the embedded default on two cores: what the 500 connections send at
once is many times that."""
WARM_UP_S = 5
SHORT_S, LONG_S = 20, 300
SOAK_S = float(os.environ.get("SOAK_S", "120"))
WORKERS = 4
"""Connections that keep a service busy while its capacity is measured."""
REFUSED_IN = re.compile(r" (429|503) in (\S+) s")
"""What the log says of a refusal. The sender's own clock would tell how busy the machine is."""
MEMORY_MB_PER_HOUR = 1.0
SERVE = ("--cache-bytes", "0", "--log-level", "info")


def said(outcome: Outcome, what: str) -> str:
    accepted, refused = outcome.accepted_s, outcome.refused_s
    return (
        f"{what}: {dict(sorted(outcome.statuses.items()))}, wrong {outcome.wrong}; accepted p50 "
        f"{quantile(accepted, 0.5):.3f} s, p99 {quantile(accepted, 0.99):.3f} s; refused p50 "
        f"{quantile(refused, 0.5):.3f} s, p99 {quantile(refused, 0.99):.3f} s"
    )


def overload(service: Service, seconds: float) -> None:
    """Presses, and holds what must not change against what it was after a first press."""
    pid = service.process.pid
    bodies = requests(BODIES, seed=1)
    expected = asyncio.run(answers(service.url, bodies))
    files = open_files(pid)
    asyncio.run(press(service.url, bodies, expected, CONNECTIONS, WARM_UP_S))
    until(lambda: open_files(pid) <= files)
    before = resident_bytes(pid)
    outcome = asyncio.run(press(service.url, bodies, expected, CONNECTIONS, seconds))
    until(lambda: open_files(pid) <= files)
    after = resident_bytes(pid)
    print(said(outcome, f"{CONNECTIONS} connections, {seconds:g} s"))
    print(f"memory {before / 2**20:.0f} to {after / 2**20:.0f} MiB, open files {files}")
    assert outcome.wrong == 0
    assert outcome.errors == 0
    assert set(outcome.statuses) == {200, 429} or set(outcome.statuses) == {200, 429, 503}
    refused_s = [float(line[2]) for line in REFUSED_IN.finditer(service.log.read_text())]
    print(
        f"by the service's clock: refused p50 {quantile(refused_s, 0.5):.4f} s, p99 "
        f"{quantile(refused_s, 0.99):.4f} s"
    )
    assert quantile(refused_s, 0.5) < 0.1 * quantile(outcome.accepted_s, 0.5)
    assert after < 1.05 * before
    assert "Traceback" not in service.log.read_text()


def test_more_than_it_can_bear_is_refused_and_the_rest_is_right(tmp_path: Path) -> None:
    arguments = ("--max-queue-tokens", str(QUEUE_TOKENS), *SERVE)
    with running(tmp_path / "log", *arguments) as service:
        overload(service, SHORT_S)


@pytest.mark.soak
def test_five_minutes_of_it(tmp_path: Path) -> None:
    arguments = ("--max-queue-tokens", str(QUEUE_TOKENS), *SERVE)
    with running(tmp_path / "log", *arguments) as service:
        overload(service, LONG_S)


@pytest.mark.soak
def test_it_bears_what_it_can_bear_for_as_long_as_wanted(tmp_path: Path) -> None:
    bodies = requests(BODIES, seed=2)
    with running(tmp_path / "log", *SERVE, "--audit-share", "0.05") as service:
        pid = service.process.pid
        expected = asyncio.run(answers(service.url, bodies))
        most = asyncio.run(press(service.url, bodies, expected, WORKERS, 4 * WARM_UP_S))
        rate = 0.8 * len(most.accepted_s) / (4 * WARM_UP_S)
        parts, memory, step = [], [], max(SOAK_S / 20, 1.0)
        for number in range(20):
            parts.append(asyncio.run(pace(service.url, bodies, expected, rate, step)))
            memory.append((number * step / 3600, resident_bytes(pid) / 2**20))
            print(said(parts[-1], f"{number * step:.0f} s, {memory[-1][1]:.0f} MiB"), flush=True)
        with service.client() as http:
            metrics = http.get("/metrics").text
    grown = slope(iter(memory[5:]))
    print(f"rate {rate:.2f} requests/s for {20 * step:.0f} s, memory slope {grown:.2f} MiB/h")
    assert sum(part.errors + part.wrong for part in parts) == 0
    assert sum(part.statuses[200] for part in parts) == sum(
        sum(part.statuses.values()) for part in parts
    )
    assert 'darling_audits_total{outcome="differing"} 0.0' in metrics
    if SOAK_S >= 3600:  # in less, one page more or less is a slope
        assert grown <= MEMORY_MB_PER_HOUR
    first, last = (
        quantile([s for part in some for s in part.accepted_s], 0.99)
        for some in (parts[5:10], parts[-5:])
    )
    assert last <= 2 * first
