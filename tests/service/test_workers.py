"""`workers`: model processes behind one service. Same answers; what dies or hangs is replaced."""

import asyncio
import multiprocessing.forkserver
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from darling_models.errors import ModelError
from darling_models.keys import content_key
from darling_models.protocol import (
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Steps,
    Unit,
    all_pairs,
    number_fault,
)
from darling_models.registry import load
from darling_service.engine.cache import ResultCache
from darling_service.engine.elsewhere import elsewhere
from darling_service.engine.engine import Engine
from darling_service.engine.workers import Workers
from darling_service.errors import Problem, Unavailable
from darling_service.http import examples
from darling_service.telemetry import Telemetry
from tests import commands, conftest
from tests.conftest import Service, metric, running

INFO = ModelInfo("by-length", "1", 0.5, "average", "test")


@dataclass(frozen=True)
class Length:
    tokens: int
    truncated: bool = False
    nbytes: int = 8
    fault: Exception | None = None


@dataclass(frozen=True)
class Planned:
    info: ModelInfo = INFO

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return Plan([Unit(content_key(t), (t,), len(t)) for t in texts], pairs)


@dataclass(frozen=True)
class Fragile(Planned):
    """Two texts are equivalent if they are equally long; some do what a model should not."""

    folder: Path = Path()
    """Where the processes leave marks for each other."""

    def planner(self) -> Planned:
        return Planned()

    def run(self, units: Sequence[Unit]) -> list[Length]:
        texts = [unit.inputs[0] for unit in units]
        for text in texts:
            self._suffer(text)
        faults = {"nan": number_fault(False)}
        return [Length(len(text), fault=faults.get(text)) for text in texts]

    def _suffer(self, text: str) -> None:
        if text == "deadly" or (text == "deadly once" and self._first(text)):
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "endless" or (text == "endless once" and self._first(text)):
            time.sleep(1000)
        if text == "poison":
            raise ValueError(text)
        if text.startswith("meet"):
            self._meet()

    def _first(self, name: str) -> bool:
        try:
            (self.folder / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _meet(self) -> None:
        """Waits until two processes have come here."""
        (self.folder / f"here {os.getpid()}").touch()
        while len(list(self.folder.glob("here *"))) < 2:
            time.sleep(0.01)

    def probabilities_in_steps(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        self._suffer(prompt)
        time.sleep(0.06)  # more than a slice
        yield
        return self.probabilities(prompt, texts, pairs, results)

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        lengths = np.asarray([results[content_key(text)].tokens for text in texts])
        equal: FloatArray = (lengths[pairs[:, 0]] == lengths[pairs[:, 1]]).astype(np.float64)
        return equal

    def cosines(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return self.probabilities("", texts, pairs, results) / 2


def load_fragile(folder: Path) -> EquivalenceClassifier:
    return Fragile(folder=folder)


def forget_meeting(folder: Path) -> None:
    for mark in folder.glob("here *"):
        mark.unlink()


async def until(check: Callable[[], bool], pause_s: float = 0.02) -> None:
    async with asyncio.timeout(60):
        while not check():  # noqa: ASYNC110 (other processes do what is waited for)
            await asyncio.sleep(pause_s)


@dataclass
class Played:
    engine: Engine
    workers: Workers
    telemetry: Telemetry

    async def judged(self, *texts: str, prompt: str = "") -> list[float]:
        job = self.engine.plan(prompt, texts, all_pairs(len(texts)))
        with self.engine.reserve(job.tokens, job.comparing) as reservation:
            verdict = await self.engine.classify(job, reservation)
        probabilities: list[float] = verdict.probabilities.tolist()
        return probabilities

    def figure(self, name: str) -> float | None:
        return self.telemetry.registry.get_sample_value(name)

    async def whole_again(self, ends: int) -> None:
        """Waits until so many processes have ended and two are alive."""
        await until(
            lambda: (
                self.figure("darling_worker_ends_total") == ends and len(self.workers.alive) == 2
            )
        )
        assert self.figure("darling_workers") == 2
        assert await self.engine.model.ready()


@pytest.fixture(scope="module", autouse=True)
def forks() -> None:
    """Model processes are forks of the process of which the tests' commands are."""
    commands.context()
    multiprocessing.forkserver.ensure_running()


def play(
    folder: Path,
    scenario: Callable[[Played], Coroutine[Any, Any, None]],
    model_timeout_s: float = 60,
) -> None:
    async def main() -> None:
        telemetry = Telemetry()
        workers = Workers(partial(load_fragile, folder), 2, model_timeout_s, telemetry)
        classifier = elsewhere(await workers.start(), workers)
        engine = Engine(
            classifier,
            ResultCache(10_000),
            telemetry,
            max_batch_tokens=30,
            max_queue_tokens=1000,
            model_timeout_s=model_timeout_s,
            workers=workers,
        )
        await engine.start()
        pids = [worker.process.pid for worker in workers.alive]
        try:
            await asyncio.wait_for(scenario(Played(engine, workers, telemetry)), timeout=90)
            pids += [worker.process.pid for worker in workers.alive]
        finally:
            await engine.stop()
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))

    asyncio.run(main())


def test_batches_and_comparisons_run_in_both_processes_at_once(tmp_path: Path) -> None:
    async def scenario(played: Played) -> None:
        texts = ("meet one", "meet two")
        first = asyncio.create_task(played.judged(f"{texts[0]:30}"))
        second = asyncio.create_task(played.judged(f"{texts[1]:30}"))
        assert [await first, await second] == [[], []]
        forget_meeting(tmp_path)
        both = (played.judged("aa", "bb", prompt=text) for text in texts)
        assert await asyncio.gather(*both) == [[1.0], [1.0]]

    play(tmp_path, scenario)


@pytest.mark.parametrize("what", ["deadly once", "endless once"])
@pytest.mark.parametrize("where", ["model", "comparing"])
def test_what_a_process_was_asked_when_it_ended_or_hung_is_asked_of_another(
    tmp_path: Path, what: str, where: str
) -> None:
    async def scenario(played: Played) -> None:
        if where == "model":
            assert await played.judged(what, "x" * len(what), "y") == [1.0, 0.0, 0.0]
        else:
            assert await played.judged("aa", "bb", "c", prompt=what) == [1.0, 0.0, 0.0]
        await played.whole_again(ends=1)
        assert await played.judged("aaa", "bbb") == [1.0]

    play(tmp_path, scenario, model_timeout_s=3 if what.startswith("endless") else 60)


def test_a_text_that_ends_every_process_fails_alone(tmp_path: Path) -> None:
    async def scenario(played: Played) -> None:
        bad = asyncio.create_task(played.judged("deadly", "a"))
        good = asyncio.create_task(played.judged("bb", "cc"))  # in one batch with it
        with pytest.raises(Unavailable, match="the model failed on this request"):
            await bad
        assert await good == [1.0]
        await played.whole_again(ends=4)  # the batch twice, and the text by itself twice

    play(tmp_path, scenario)


@pytest.mark.parametrize("where", ["model", "comparing"])
def test_a_text_that_hangs_every_process_fails_its_callers_and_no_later_ones(
    tmp_path: Path, where: str
) -> None:
    async def scenario(played: Played) -> None:
        prompt, first = ("", "endless") if where == "model" else ("endless", "a")
        asking = played.judged(first, "bb", prompt=prompt)
        with pytest.raises(Problem, match="hangs: no result in model_timeout_s = 3, twice"):
            await asking
        await played.whole_again(ends=2)
        assert await played.judged("bb", "cc") == [1.0]

    play(tmp_path, scenario, model_timeout_s=3)


def test_an_idle_process_that_is_killed_or_stopped_is_replaced(tmp_path: Path) -> None:
    async def scenario(played: Played) -> None:
        for ends, worker in enumerate(played.workers.alive, 1):
            worker.process.kill()
            await played.whole_again(ends)
        for worker in played.workers.alive:
            assert worker.process.pid is not None
            os.kill(worker.process.pid, signal.SIGSTOP)
        assert await played.judged("bb", "c" * 29) == [0.0], "asked of those that follow"
        await played.whole_again(ends=4)

    play(tmp_path, scenario, model_timeout_s=5)


def test_without_a_process_the_service_is_not_ready(tmp_path: Path) -> None:
    async def scenario(played: Played) -> None:
        assert await played.engine.model.ready()
        for worker in played.workers.alive:
            worker.process.kill()
        # A process takes longer to start than a turn of the event loop.
        await until(lambda: not played.workers.alive, pause_s=0)
        assert not await played.engine.model.ready()
        await played.whole_again(ends=2)

    play(tmp_path, scenario)


def test_faults_of_the_model_come_through_and_end_no_process(tmp_path: Path) -> None:
    async def scenario(played: Played) -> None:
        for bad in ("poison", "nan"):
            spoilt = asyncio.create_task(played.judged(bad, "a"))
            with pytest.raises(Unavailable, match="the model failed on this request"):
                await spoilt
        assert await played.judged("bb", "cc") == [1.0]
        with pytest.raises(ValueError, match="poison"):
            await played.judged("bb", "cc", prompt="poison")
        assert played.figure("darling_worker_ends_total") == 0

    play(tmp_path, scenario)


def test_a_caller_that_leaves_ends_its_comparison_and_the_next_is_compared(tmp_path: Path) -> None:
    async def scenario(played: Played) -> None:
        left = [asyncio.create_task(played.judged("aa", "bb")) for _ in range(8)]
        await asyncio.sleep(0.1)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        assert await played.judged("aa", "cc") == [1.0]
        await until(lambda: not any(worker.comparisons for worker in played.workers.alive))

    play(tmp_path, scenario)


@pytest.mark.parametrize("model", ["exact", "judge:m@http://127.0.0.1:9/v1"])
def test_a_model_without_weights_of_its_own_refuses_workers(model: str) -> None:
    async def start() -> None:
        workers = Workers(partial(load, model), 2, 60, Telemetry())
        with pytest.raises(ModelError, match="leave workers out"):
            await workers.start()
        workers.stop()

    asyncio.run(start())


def load_slowly(folder: Path) -> EquivalenceClassifier:
    time.sleep(1.5)
    return Fragile(folder=folder)


def load_or_die(folder: Path) -> EquivalenceClassifier:
    """The first process that loads ends over it; others load for very long."""
    Fragile(folder=folder)._suffer("deadly once")
    time.sleep(1000)
    raise AssertionError("somebody has ended it")


def test_loading_may_take_longer_than_an_answer(tmp_path: Path) -> None:
    async def start() -> None:
        workers = Workers(partial(load_slowly, tmp_path), 2, 0.5, Telemetry())
        assert (await workers.start()).info == INFO
        workers.stop()

    asyncio.run(start())


def test_a_process_that_ends_while_it_loads_ends_the_start_at_once(tmp_path: Path) -> None:
    async def start() -> None:
        before = set(multiprocessing.active_children())
        workers = Workers(partial(load_or_die, tmp_path), 2, 60, Telemetry())
        with pytest.raises(ModelError, match="ended while it loaded the model; give the service"):
            await asyncio.wait_for(workers.start(), 60)
        workers.stop()
        await until(lambda: set(multiprocessing.active_children()) <= before)

    asyncio.run(start())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of the embedded default with two model processes, which audits every answer."""
    log = tmp_path_factory.mktemp("two") / "log"
    with running(log, "--workers", "2", "--audit-share", "1") as service:
        yield service


REQUESTS = [
    *[("/v1/rewards", request) for request in examples.REWARD_REQUESTS.values()],
    *[("/v1/partitions", request) for request in examples.PARTITION_REQUESTS.values()],
    *[("/v1/preferences", request) for request in examples.PREFERENCE_REQUESTS.values()],
    *[("/v1/equivalence", request) for request in examples.EQUIVALENCE_REQUESTS.values()],
]


GROUP = {
    "prompt": "What is 12 * 12?",
    "rollouts": ["12 * 12 = 144", "It is 144, since 10 * 12 + 24 is.", "144", "It is 124."],
    "quality": [1.0, 1.0, 1.0, 0.0],
}
REQUESTS += [
    (
        "/v1/partitions",
        {
            "groups": [{name: GROUP[name] for name in ("prompt", "rollouts")}],
            "partition": {"notion": "approach"},
            "return_probabilities": True,
        },
    ),
    (
        "/v1/rewards",
        {"groups": [GROUP], "reward": {"objective": "additive", "diversity": "volume"}},
    ),
    # More pairs than are compared in one slice.
    ("/v1/partitions", {"groups": [{"prompt": "Count.", "rollouts": list(map(str, range(120)))}]}),
]


def test_every_example_gets_the_bits_of_a_service_without_model_processes(
    service: Service, two: Service
) -> None:
    for route, request in REQUESTS:
        own, other = (httpx.post(f"{one.url}{route}", json=request) for one in (service, two))
        assert own.status_code == other.status_code == 200, own.text
        ours, theirs = own.json(), other.json()
        del ours["usage"], theirs["usage"]
        assert ours == theirs
    conftest.until(lambda: metric(two, 'darling_audits_total{outcome="equal"}') > 0, seconds=60)
    assert metric(two, 'darling_audits_total{outcome="differing"}') == 0
    assert metric(two, "darling_workers") == 2
    assert metric(service, "darling_workers") == 0


def test_rollouts_of_one_group_meet_over_any_connections(service: Service, two: Service) -> None:
    request = next(iter(examples.ROLLOUT_REQUESTS.values()))
    texts = ["Lisbon.", "It is Lisbon.", "Porto.", "The capital is Faro, I think.", "Lisbon, yes."]
    rollouts = [
        {**request, "group_id": "w", "member_id": i, "group_size": len(texts), "text": text}
        for i, text in enumerate(texts)
    ]

    async def send(url: str) -> list[dict[str, Any]]:
        async def one(rollout: dict[str, Any]) -> dict[str, Any]:
            async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                answer: dict[str, Any] = (await http.post("/v1/rollouts", json=rollout)).json()
                return answer

        return await asyncio.gather(*map(one, rollouts))

    own, other = (asyncio.run(send(one.url)) for one in (service, two))
    assert own == other
    assert all(answer["group_complete"] for answer in other)


def test_the_log_names_the_workers_fault_and_a_service_ends_with_its_processes(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    words = ["serve", "--port", "0", "--model", "exact", "--workers", "2"]
    refused = commands.run_command(*words)
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines()[-1].startswith("darling-reward serve: ")
    assert "leave workers out" in refused.stderr
    assert "Traceback" not in refused.stderr
    with running(log, "--workers", "2") as service:
        httpx.get(f"{service.url}/health/live").raise_for_status()
    assert service.process.poll() == 0
    assert "ERROR" not in log.read_text()
