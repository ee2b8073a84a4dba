"""The service as a process: starting, staying live under load, refusing, stopping."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_service.server import END_S
from tests.conftest import Service, metric, running, until
from tests.texts import essay


def heavy(groups: int, words: int = 400, seed: int = 0) -> dict[str, Any]:
    """Rollouts nobody has sent before."""
    return {
        "groups": [
            {
                "prompt": "p",
                "rollouts": [f"{seed} {g} {r} " + essay(r, words) for r in range(8)],
                "quality": [1.0] * 8,
            }
            for g in range(groups)
        ]
    }


def test_live_before_ready_and_ready_after_the_warm_up(tmp_path: Path) -> None:
    with running(tmp_path / "log", wait_ready=False) as service, service.client() as http:
        assert http.get("/health/live").status_code == 200
        first = http.get("/health/ready")
        if first.status_code != 200:
            assert first.status_code == 503
            assert "Retry-After" in first.headers
            early = http.post("/v1/rewards", json=heavy(1))
            assert early.status_code in (200, 503)
        deadline = time.monotonic() + 60
        while http.get("/health/ready").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_event_loop_answers_while_a_large_batch_is_scored(service: Service) -> None:
    """Large ones in a row, so that a fast machine is asked often enough as well."""
    waits: list[float] = []
    with service.client() as http:
        http.get("/health/live")

        def score() -> None:
            with service.client() as other:
                for seed in range(100, 200):
                    other.post("/v1/rewards", json=heavy(4, seed=seed)).raise_for_status()
                    if len(waits) > 20:
                        return

        scoring = threading.Thread(target=score)
        scoring.start()
        while scoring.is_alive():
            started = time.perf_counter()
            assert http.get("/health/live").status_code == 200
            waits.append(time.perf_counter() - started)
            time.sleep(0.01)
        scoring.join()
    assert len(waits) > 20, "the batch took long enough to see"
    assert sorted(waits)[len(waits) // 2] < 0.25, "answered between batches, not behind them"


def test_a_full_queue_answers_429_with_retry_after(tmp_path: Path) -> None:
    async def flood(url: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            return await asyncio.gather(
                *(client.post("/v1/rewards", json=heavy(1, 200, seed)) for seed in range(6))
            )

    with running(tmp_path / "log", "--max-queue-tokens", "4000") as service:
        answers = asyncio.run(flood(service.url))
    statuses = sorted({answer.status_code for answer in answers})
    assert statuses == [200, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert "max_queue_tokens" in refused.json()["detail"]


def test_a_request_over_its_time_is_answered_503(tmp_path: Path) -> None:
    arguments = ("--request-timeout-s", "0.3")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        answer = http.post("/v1/rewards", json=heavy(64))
    assert answer.status_code == 503
    assert "request_timeout_s" in answer.json()["detail"]
    assert "Retry-After" in answer.headers


def test_a_caller_that_leaves_frees_the_queue(service: Service) -> None:
    impatient = service.client(timeout=0.3)
    with impatient, pytest.raises(httpx.ReadTimeout):
        impatient.post("/v1/rewards", json=heavy(64, seed=9))
    with service.client() as http:
        deadline = time.monotonic() + 10
        while "darling_queue_tokens 0.0" not in http.get("/metrics").text:
            assert time.monotonic() < deadline, "64 groups would take half a minute"
            time.sleep(0.1)


def test_the_api_key_guards_v1_and_leaves_health_open(tmp_path: Path) -> None:
    arguments = ("--model", "unigram", "--api-key", "secret")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}):
            answer = http.get("/v1/models", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"] == "Bearer"
        good = {"authorization": "Bearer secret"}
        assert http.get("/v1/models", headers=good).status_code == 200
        assert http.get("/health/ready").status_code == 200


def test_interrupt_answers_requests_in_flight_and_ends_in_time(tmp_path: Path) -> None:
    grace_s = 8  # the short one takes one or two, some more on a busy machine
    with running(tmp_path / "log", "--shutdown-grace-s", str(grace_s)) as service:
        answers: list[httpx.Response] = []

        def ask(groups: int, seed: int) -> None:
            with service.client() as http:
                answers.append(http.post("/v1/rewards", json=heavy(groups, seed=seed)))

        askers = [threading.Thread(target=ask, args=(n, n)) for n in (1, 40)]
        short, long = askers
        short.start()
        until(lambda: metric(service, "darling_queue_tokens") > 0)
        long.start()
        until(lambda: metric(service, "darling_queue_tokens") > 100_000)
        started = time.monotonic()
        service.process.send_signal(signal.SIGINT)
        for asker in askers:
            asker.join()
        assert service.process.wait(timeout=20) == 0
        took = time.monotonic() - started
    assert took < grace_s + END_S
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 503], "the short one finished, the long one was told to come back"
    assert "Traceback" not in service.log.read_text()


def test_a_wrong_model_ends_the_process_with_a_clear_error() -> None:
    command = [
        sys.executable,
        "-m",
        "darling_service.cli",
        "serve",
        "--port",
        "0",
        "--model",
        "gpt",
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "unknown model 'gpt'; choose one of: embedded" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_wrong_setting_is_named() -> None:
    command = [sys.executable, "-m", "darling_service.cli", "serve", "--port", "many"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "--port (DARLING_PORT)" in run.stderr
