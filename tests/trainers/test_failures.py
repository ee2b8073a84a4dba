"""Every trainer under every failure of the service: the rewards it would have had, or what
docs/trainers.md says of an outage, and never a number that nobody gave."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.client.test_client import free_port
from tests.conftest import Service, running
from tests.servers.processes import serving
from tests.trainers.conftest import DRIVERS, EXAMPLES, SHAPES, WORDS, need, variables, whole_group

HOMES = {
    "trl": ("trl", "trl"),
    "openrlhf": ("trl", "openrlhf"),
    "openrlhf_http": ("trl", "openrlhf"),
    "verl": ("verl", "verl"),
    "areal": ("verl", "areal"),
    "skyrl": ("verl", "skyrl"),
    "nemo_rl": ("verl", "ray"),
    "swift": ("swift", "swift"),
    "verifiers": ("light", "verifiers"),
    "verifiers_v1": ("v1", "verifiers.v1"),
    "tinker_cookbook": ("trl", "tinker_cookbook"),
    "art": ("v1", "art"),
    "slime": ("light", "darling_client"),
}
"""The environment of each trainer, and the module that has to be in it."""

ADAPTERS = [trainer for trainer in HOMES if trainer != "openrlhf_http"]

NO_SIGNAL: dict[str, Any] = {
    "trl": [None] * 4,
    "swift": [None] * 4,
    "areal": None,
    "art": None,
    "verifiers": [0.0] * 4,  # the package's doing, which logs the error: no signal in equal rewards
}
"""What an outage leaves, where it is not an exception."""

WAIT_S = 240


@dataclass(frozen=True)
class Trainer:
    """A process with the packages of one environment."""

    process: subprocess.Popen[str]
    said: Path

    def ask(self, trainer: str, url: str, patience_s: float) -> None:
        assert self.process.stdin is not None
        job = {"trainer": trainer, "url": url, "patience_s": patience_s}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], WAIT_S)
        line = self.process.stdout.readline() if ready else ""
        assert line, self.said.read_text()[-5000:]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def rewarded(self, trainer: str, url: str, patience_s: float = 300) -> dict[str, Any]:
        self.ask(trainer, url, patience_s)
        return self.answer()


Open = Callable[[str], Trainer]


@pytest.fixture(scope="module")
def open_trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """The process for a trainer, one for each environment; skips where the trainer is missing."""
    started: dict[str, Trainer] = {}

    def opened(trainer: str) -> Trainer:
        name, module = HOMES[trainer]
        python = need(name, module)
        if name not in started:
            said = tmp_path_factory.mktemp(name) / "said"
            with said.open("w") as stderr:
                process = subprocess.Popen(
                    [*python, str(DRIVERS / "failing.py")],
                    env=variables(PYTHONPATH=f"{EXAMPLES}:{SHAPES}"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    start_new_session=True,  # AReaL has a pool of processes, which end with it
                )
            started[name] = Trainer(process, said)
        return started[name]

    yield opened
    for trainer in started.values():
        os.killpg(trainer.process.pid, signal.SIGKILL)
        trainer.process.communicate()


def check(words: Service, answer: dict[str, Any]) -> None:
    """That the rewards are what an undisturbed service says to the group."""
    assert "raised" not in answer, answer["raised"]
    whole = whole_group(words, answer["prompt"], answer["texts"], answer["quality"])
    assert answer["rewards"] == pytest.approx(whole["rewards"])
    assert set(answer["rewards"]) != {0.0}


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def bytes_unread(port: int) -> int:
    """What clients have sent to a port of this machine and its process has not read."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(row[4].partition(":")[2], 16)
        for row in rows
        if row[3] == "01" and row[1].endswith(f":{port:04X}")
    )


@pytest.mark.parametrize("trainer", ADAPTERS)
def test_down_at_the_start_then_killed_with_a_request(
    trainer: str, open_trainer: Open, words: Service, tmp_path: Path
) -> None:
    process, port = open_trainer(trainer), free_port()
    url = f"http://127.0.0.1:{port}"
    before = len(process.said.read_text())
    process.ask(trainer, url, patience_s=300)
    until(lambda: "retrying for up to" in process.said.read_text()[before:])
    with running(tmp_path / "first", *WORDS, "--port", str(port)) as first:
        check(words, process.answer())
        os.kill(first.process.pid, signal.SIGSTOP)  # so that it surely has the request when killed
        process.ask(trainer, url, patience_s=300)
        until(lambda: bytes_unread(port) > 0)
        first.process.kill()
        first.process.wait()
    with running(tmp_path / "second", *WORDS, "--port", str(port)):
        check(words, process.answer())


@pytest.mark.parametrize("trainer", HOMES)
def test_a_storm_of_429(trainer: str, open_trainer: Open, words: Service) -> None:
    process = open_trainer(trainer)
    with serving(
        "tests.servers.flaky_proxy", words.url, "--refuse", "3", "--retry-after", "0.2"
    ) as proxy:
        check(words, process.rewarded(trainer, proxy.url))


@pytest.mark.parametrize("trainer", HOMES)
def test_a_slow_answer_is_waited_for(trainer: str, open_trainer: Open, words: Service) -> None:
    process = open_trainer(trainer)
    with serving("tests.servers.flaky_proxy", words.url, "--delay", "1") as proxy:
        check(words, process.rewarded(trainer, proxy.url))


@pytest.mark.parametrize(
    ("misbehaviour", "failure", "patience_s"),
    [
        (("--refuse", "99999"), "Overloaded", 2),  # the refusal is to come in time here
        (("--delay", "9"), "TimedOut", 0.5),
        (("--drop", "99999"), "Unreachable", 2),
    ],
)
@pytest.mark.parametrize("trainer", ADAPTERS)
def test_beyond_patience_there_is_no_number(
    trainer: str,
    misbehaviour: tuple[str, str],
    failure: str,
    patience_s: float,
    open_trainer: Open,
    words: Service,
) -> None:
    process = open_trainer(trainer)
    before = len(process.said.read_text())
    with serving("tests.servers.flaky_proxy", words.url, *misbehaviour) as proxy:
        answer = process.rewarded(trainer, proxy.url, patience_s)
    if trainer in NO_SIGNAL:
        assert answer["rewards"] == NO_SIGNAL[trainer]
        assert "gave up after" in process.said.read_text()[before:], "it is told"
    else:
        assert f"{failure}: gave up after" in answer["raised"]


def test_openrlhfs_own_client_has_no_number_either(open_trainer: Open, words: Service) -> None:
    process = open_trainer("openrlhf_http")
    answer = process.rewarded("openrlhf_http", f"http://127.0.0.1:{free_port()}")
    assert answer["rewards"] == [None] * 4
