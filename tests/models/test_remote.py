"""Remote classifiers: server processes with a small checkpoint; some die, some talk nonsense."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest

from darling_models.errors import ModelError, ModelUnavailable, ServerRefused
from darling_models.options import ModelOptions
from darling_models.protocol import EquivalenceClassifier, all_pairs, classify
from darling_models.registry import load
from tests.checkpoints import modernbert
from tests.conftest import running
from tests.servers.classify import NONSENSE
from tests.servers.processes import Server, serving

TEXTS = ["A cat sat.", "a cat\n\tsat", "Braces {a} and {b}", "x", "no"]
PAIRS = all_pairs(len(TEXTS))
DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    modernbert(folder)
    return folder


@pytest.fixture(scope="module")
def local(checkpoint: Path) -> EquivalenceClassifier:
    return load(f"darling-modernbert:{checkpoint}", ModelOptions(runtime="float32"))


@pytest.fixture(scope="module")
def host(checkpoint: Path) -> Iterator[Server]:
    with serving("tests.servers.classify", str(checkpoint)) as server:
        yield server


def test_a_remote_says_what_the_local_cross_encoder_says(
    host: Server, local: EquivalenceClassifier
) -> None:
    expected = classify(local, "", TEXTS, PAIRS)
    for target in (host.url, f"similarity@{host.url}/"):
        found = classify(load(f"remote:{target}"), "", TEXTS, PAIRS)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert len(np.unique(found)) == len(PAIRS)


def test_the_label_can_be_chosen(host: Server, local: EquivalenceClassifier) -> None:
    found = classify(load(f"remote:{host.url}", ModelOptions(similar_label=0)), "", TEXTS, PAIRS)
    np.testing.assert_allclose(found, 1 - classify(local, "", TEXTS, PAIRS), atol=1e-5)


def test_a_host_dead_from_the_start_costs_nothing_but_its_share(
    host: Server, local: EquivalenceClassifier
) -> None:
    remote = load(f"remote:{DEAD},{host.url}")
    np.testing.assert_allclose(
        classify(remote, "", TEXTS, PAIRS), classify(local, "", TEXTS, PAIRS), atol=1e-5
    )


def test_a_host_killed_in_the_middle_loses_nothing(
    checkpoint: Path, local: EquivalenceClassifier
) -> None:
    texts = [f"text number {i}" for i in range(30)]
    with ExitStack() as stack:
        arguments = ("tests.servers.classify", str(checkpoint), "--delay", "0.3")
        first, second = (stack.enter_context(serving(*arguments)) for _ in range(2))
        remote = load(f"remote:{first.url},{second.url}")
        threading.Timer(0.2, first.process.kill).start()
        found = classify(remote, "", texts, all_pairs(30))
        assert first.process.wait(timeout=10) != 0
    np.testing.assert_allclose(found, classify(local, "", texts, all_pairs(30)), atol=1e-5)


@pytest.mark.slow
def test_the_host_with_fewest_in_flight_is_asked(
    checkpoint: Path, local: EquivalenceClassifier
) -> None:
    texts = [f"text number {i}" for i in range(40)]
    with ExitStack() as stack:
        slow, fast = (
            stack.enter_context(
                serving("tests.servers.classify", str(checkpoint), "--delay", delay)
            )
            for delay in ("1.5", "0")
        )
        remote = load(f"remote:{slow.url},{fast.url}")
        classify(remote, "", texts, all_pairs(40))
        asked = [httpx.post(f"{host.url}/asked", json={}).json() for host in (slow, fast)]
    assert sum(asked) == 49, "780 pairs, 16 a request"
    assert asked[1] > 1.5 * asked[0]


def test_credentials_in_a_url_are_refused() -> None:
    for name in ("remote:http://me:secret@host:1", "judge:m@http://me:secret@host:1/v1"):
        with pytest.raises(ModelError, match="leave user and password out") as refused:
            load(name)
        assert "secret" not in str(refused.value)


def test_with_every_host_dead_there_is_no_answer() -> None:
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match="no host of the model could answer"):
        classify(load(f"remote:{DEAD}"), "", TEXTS, PAIRS)
    assert time.monotonic() - started < 30


def test_a_model_that_no_host_serves_is_no_answer(host: Server) -> None:
    with pytest.raises(ServerRefused, match="404"):
        classify(load(f"remote:other@{host.url}"), "", TEXTS, PAIRS)


@pytest.mark.parametrize("target", ["localhost:8000", "similarity@host", "http://a,b"])
def test_a_target_that_is_no_host_is_refused(target: str) -> None:
    with pytest.raises(ModelError, match="write it like http://host:8000"):
        load(f"remote:{target}")


def test_it_serves_rewards_and_answers_503_when_the_last_host_dies(
    checkpoint: Path, tmp_path: Path
) -> None:
    group = {"prompt": "", "rollouts": TEXTS, "quality": [1] * 5}
    later = {"prompt": "", "rollouts": [f"{text}!" for text in TEXTS], "quality": [1] * 5}
    rejected = {"prompt": "", "rollouts": ["unreadable", "x"], "quality": [1, 1]}
    with serving("tests.servers.classify", str(checkpoint)) as server:
        arguments = ("--model", f"remote:{server.url}")
        with running(tmp_path / "log", *arguments) as service, service.client() as http:
            answer = http.post("/v1/rewards", json={"groups": [group]})
            assert answer.json()["usage"]["classified"] == 10
            refused = http.post("/v1/rewards", json={"groups": [rejected]})
            assert refused.status_code == 422
            assert http.get("/health/ready").status_code == 200
            server.process.kill()
            server.process.wait()
            gone = http.post("/v1/rewards", json={"groups": [later]})
            assert gone.status_code == 503
            assert int(gone.headers["retry-after"]) >= 1
            assert "one by one" not in service.log.read_text().split("unavailable")[-1]
            assert http.get("/health/ready").status_code == 503
            known = http.post("/v1/rewards", json={"groups": [group]})
            assert known.json()["groups"] == answer.json()["groups"]


def test_nonsense_is_503_and_never_a_number(host: Server, tmp_path: Path) -> None:
    arguments = ("--model", f"remote:{host.url}")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        for nonsense in NONSENSE:
            group = {"prompt": "", "rollouts": ["a", nonsense], "quality": [1, 1]}
            httpx.post(f"{host.url}/say", json={"nonsense": nonsense})
            answer = http.post("/v1/rewards", json={"groups": [group]})
            assert answer.status_code == 503, nonsense
            assert int(answer.headers["retry-after"]) >= 1
            httpx.post(f"{host.url}/say", json={"nonsense": None})
            assert http.post("/v1/rewards", json={"groups": [group]}).status_code == 200
