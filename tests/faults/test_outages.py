"""Things around the service that fail at random moments: each answer is right, or a clear error."""

import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import pytest

from tests.commands import run_command
from tests.conftest import Service, metric, running, until
from tests.faults.rounds import ROUNDS
from tests.faults.test_restarts import free_port
from tests.servers.redis import MODES, redis
from tests.servers.scripted import Reply, scripted
from tests.service.test_quality_sources import worker_pids

GROUP = {"prompt": "p", "rollouts": ["a", "b", "a"], "quality": [1.0, 2.0, 4.0]}
REWARDS = [0.5, 2.0, 2.0]
"""Of that group by the model `exact`."""


def scored(service: Service, **fields: Any) -> httpx.Response:
    body = {"groups": [GROUP], **fields}
    return httpx.post(f"{service.url}/v1/rewards", json=body, timeout=60)


def assert_clear(answer: httpx.Response) -> None:
    """An error that a caller can act on."""
    assert answer.status_code in (429, 503), answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert len(answer.json()["detail"]) > 20


@contextmanager
def striking(pids: Any, moments: random.Random) -> Iterator[None]:
    """Kills one of the processes now and then."""
    over = threading.Event()

    def strike() -> None:
        while not over.wait(moments.uniform(0.2, 1.5)):
            for pid in pids()[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        yield
    finally:
        over.set()
        striker.join()


@pytest.mark.skipif(find_spec("math_verify") is None, reason="the extra `math` is not installed")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_killed_maths_workers_make_no_answer_wrong(tmp_path: Path, rounds: int) -> None:
    moments, wrong, refused = random.Random(3), 0, 0
    with running(tmp_path / "log", "--model", "exact") as service:
        url = f"{service.url}/get_reward?n=1&quality=math-verify"
        with striking(lambda: worker_pids(service), moments):
            for number in range(2, 2 + rounds):
                right = number % 2 == 0
                half, other = rf"\frac{{{number}}}{{{2 * number}}}", rf"\frac{{1}}{{{number}}}"
                body = {
                    "query": [rf"{number}? \boxed{{0.5}}"],
                    "prompts": [f"{number}?"],
                    "labels": [half if right else other],
                }
                answer = httpx.post(url, json=body, timeout=120)
                if answer.status_code == 200:
                    wrong += answer.json()["rewards"] != float(right)
                else:
                    assert_clear(answer)
                    refused += 1
    assert wrong == 0
    print(f"{rounds} verdicts, {refused} of them refused with 503")


@pytest.mark.parametrize("rounds", ROUNDS)
def test_clients_that_vanish_leave_nothing_behind(tmp_path: Path, rounds: int) -> None:
    """The kernel resets their connections, as it does for a process that is killed."""
    moments = random.Random(5)
    raw = b'{"groups":[{"prompt":"p","rollouts":["a","b"],"quality":[1,1]}]}'
    cohort = b'{"run":"r","group_id":%d,"group_size":2,"prompt":"p","text":"t","quality":1}'
    with running(tmp_path / "log", "--model", "exact") as service:
        url = httpx.URL(service.url)
        assert url.port is not None
        for number in range(rounds):
            path, body = moments.choice([(b"rewards", raw), (b"rollouts", cohort % number)])
            head = b"POST /v1/%s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
            sent = head % (path, len(body)) + body
            client = socket.create_connection((url.host, url.port))
            client.sendall(sent[: moments.randint(1, len(sent))])
            time.sleep(moments.uniform(0, 0.02))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            assert scored(service).json()["groups"][0]["rewards"] == REWARDS
        until(lambda: metric(service, "darling_waiting_rollouts") == 0)
        until(lambda: metric(service, "darling_queue_tokens") == 0)
        open_files = Path(f"/proc/{service.process.pid}/fd")
        until(lambda: len(list(open_files.iterdir())) < 40)
        assert "Traceback" not in service.log.read_text()


@pytest.mark.skipif(find_spec("redis") is None, reason="the extra `redis` is not installed")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_shared_cache_that_fails_changes_no_answer(tmp_path: Path, rounds: int) -> None:
    moments = random.Random(11)
    with scripted(classified) as model, redis() as server:
        arguments = ("--model", f"remote:{model.url}", "--cache-url", server.url)
        cached = (*arguments, "--cache-bytes", "0")  # so that Redis is asked each time
        with running(tmp_path / "log", *cached) as service:
            for number in range(rounds):
                server.mode = moments.choice(MODES)
                if moments.random() < 0.2:
                    server.stop()
                for _ in range(2):
                    pairs_in_cache(service, number)
        assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.skipif(
    find_spec("redis") is None or which("redis-server") is None,
    reason="the extra `redis` or the program redis-server is not installed",
)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_real_redis_that_is_killed_stopped_and_slow_changes_no_answer(
    tmp_path: Path, rounds: int
) -> None:
    """It fails at random moments while groups are scored from two connections, and is used again
    once it is well."""
    moments, port, over = random.Random(13), free_port(), threading.Event()
    command = ("redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path))
    blows: Counter[str] = Counter()

    def strike() -> None:
        running_redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not over.wait(moments.uniform(0.2, 1.0)):
                blow = moments.choice(["killed", "ended", "stopped", "slow"])
                blows[blow] += 1
                if blow in ("killed", "ended"):
                    running_redis.send_signal(
                        signal.SIGKILL if blow == "killed" else signal.SIGTERM
                    )
                    running_redis.wait()
                    time.sleep(moments.uniform(0, 0.5))
                    running_redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                else:
                    running_redis.send_signal(signal.SIGSTOP)
                    time.sleep(0.05 if blow == "slow" else moments.uniform(0.2, 2.0))
                    running_redis.send_signal(signal.SIGCONT)
            until(lambda: pairs_in_cache(service, -1) == 3)
        finally:
            running_redis.kill()
            running_redis.wait()

    with scripted(classified) as model:
        arguments = ("--model", f"remote:{model.url}", "--cache-url", f"redis://127.0.0.1:{port}/0")
        cached = (*arguments, "--cache-bytes", "0")
        with running(tmp_path / "log", *cached) as service, ThreadPoolExecutor(3) as pool:
            striking_it = pool.submit(strike)
            try:
                hits = sum(
                    pool.map(lambda number: pairs_in_cache(service, number // 4), range(8 * rounds))
                )
            finally:
                over.set()
            striking_it.result()
        assert "Traceback" not in (tmp_path / "log").read_text()
    print(f"{8 * rounds} groups, {hits} of {24 * rounds} pairs from Redis, {dict(blows)}")


def classified(body: Any) -> Reply:
    """A model server by which the texts "same N" are alike."""
    probabilities = [0.75 if text.count("same") == 2 else 0.25 for text in body["input"]]
    data = [{"index": i, "probs": [p]} for i, p in enumerate(probabilities)]
    return Reply(body={"data": data})


def pairs_in_cache(service: Service, number: int) -> int:
    """How many of a group's three pairs a cache had; its answer must be right."""
    texts = [f"same {number}", f"same as {number}", f"other than {number}"]
    answer = scored(service, groups=[{"prompt": "p", "rollouts": texts, "quality": [1.0] * 3}])
    assert answer.status_code == 200, answer.text
    assert answer.json()["groups"][0]["partition"] == [0, 0, 1]
    return int(answer.json()["usage"]["cached"])


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_full_disk_fails_only_who_needs_it_and_passes(tmp_path: Path, rounds: int) -> None:
    """The limit of file sizes fails every write of the service, its log's among them."""
    reward = {"advantage": "centered", "exploration": "visits"}
    texts = [{"text": text, "correct": True, "answer": text} for text in "ab"]
    numbers = count()

    def counted() -> httpx.Response:
        group = {"prompt": f"{next(numbers)}", "rollouts": texts}
        return scored(service, groups=[group], reward=reward, run={"name": "r", "step": 1})

    arguments = ("--model", "exact", "--visits-file", str(tmp_path / "visits.db"))
    with running(tmp_path / "log", *arguments) as service:
        assert counted().status_code == 200
        limits = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
        for _ in range(rounds):
            resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
            refused = counted()
            assert_clear(refused)
            assert "visits_file cannot be written now" in refused.json()["detail"]
            assert scored(service).json()["groups"][0]["rewards"] == REWARDS
            assert httpx.get(f"{service.url}/health/ready").status_code == 200
            resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, limits)
            until(lambda: counted().status_code == 200)


def test_a_full_disk_ends_a_file_command_with_one_line(tmp_path: Path) -> None:
    lines = tmp_path / "in.jsonl"
    lines.write_text('{"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 1]}\n' * 2000)
    ended = run_command("score", "--model", "exact", lines, "/dev/full")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "No space left on device" in ended.stderr.splitlines()[-1]
    words = f"-m darling_service.cli score --model exact {lines} {tmp_path / 'out.jsonl'}"
    limited = subprocess.run(
        ["sh", "-c", f"ulimit -f 8; exec {sys.executable} {words}"], capture_output=True, text=True
    )
    assert limited.returncode == 2
    assert "Traceback" not in limited.stderr
    assert "File too large" in limited.stderr.splitlines()[-1]
    again = run_command("score", "--model", "exact", lines, tmp_path / "out.jsonl")
    assert again.returncode == 0, "the same command goes on once there is room"
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 2000
