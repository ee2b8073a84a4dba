"""The pool of model processes, with stand-ins for them: which are idle, alive, the same."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from darling_models.errors import ModelError, ModelFault
from darling_models.protocol import ModelInfo
from darling_service.engine import workers as module
from darling_service.engine.model_process import ModelProcess, ProcessEnded
from darling_service.engine.worker import Task
from darling_service.engine.workers import Workers
from darling_service.telemetry import Telemetry

INFO = ModelInfo("m", "1", 0.5, "average", "test", kernels="rows=16", kernels_reason="tried")
READ = replace(INFO, kernels_reason="tried (tried at an earlier start)")
TASK = cast(Task, None)


@dataclass
class Process:
    exitcode: int | None = None

    def is_alive(self) -> bool:
        return self.exitcode is None

    def kill(self) -> None:
        self.exitcode = -9


class StandIn:
    """A process that answers when `go` is set."""

    coming: ClassVar[Iterator[ModelInfo]]
    """What those say of themselves that are going to start."""

    def __init__(self, *_: object) -> None:
        self.process = Process()
        self.planner = SimpleNamespace(info=next(self.coming))
        self.go, self.at_once, self.most = Event(), 0, 0
        self.go.set()
        self.hung, self.comparisons = False, 0

    def load(self) -> Any:
        return self.planner

    def run(self, units: Sequence[Any]) -> Sequence[Any]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        assert self.go.wait(30)
        self.at_once -= 1
        return units

    def compare(self, number: int, task: Task | None) -> Any:
        raise ProcessEnded

    def forget(self, number: int) -> None:
        pass

    def overdue(self) -> bool:
        return False

    def alive(self) -> bool:
        return self.process.is_alive()


def play(
    monkeypatch: pytest.MonkeyPatch,
    infos: Sequence[ModelInfo],
    scenario: Callable[[Workers], Coroutine[Any, Any, None]],
    timeout_s: float = 20,
) -> None:
    monkeypatch.setattr(StandIn, "coming", iter(infos), raising=False)
    monkeypatch.setattr(module, "ModelProcess", StandIn)
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "RESTART_S", 0.01)

    async def main() -> None:
        workers = Workers(cast(Any, None), 2, timeout_s, Telemetry())
        await asyncio.wait_for(scenario(workers), 60)

    asyncio.run(main())


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not check():  # noqa: ASYNC110 (threads do what is waited for)
            await asyncio.sleep(0.01)


def stand_ins(workers: Workers) -> list[StandIn]:
    return [cast(StandIn, worker) for worker in workers.alive]


def test_a_process_that_has_read_what_the_first_has_tried_replaces_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(workers: Workers) -> None:
        await workers.start()
        first = stand_ins(workers)[0]
        first.process.kill()
        await until(lambda: first not in stand_ins(workers) and len(workers.alive) == 2)
        workers.stop()

    play(monkeypatch, [INFO, INFO, READ], scenario)


@pytest.mark.parametrize("read", [READ, replace(INFO, kernels="rows=16,pack=512")])
def test_processes_with_the_same_revision_start(
    read: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(workers: Workers) -> None:
        await workers.start()
        assert len(workers.alive) == 2
        workers.stop()

    play(monkeypatch, [INFO, read], scenario)


def test_processes_whose_texts_have_other_bits_do_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(workers: Workers) -> None:
        with pytest.raises(ModelError, match="setting kernels"):
            await workers.start()

    play(monkeypatch, [INFO, replace(INFO, revision="2")], scenario)


def test_a_caller_that_leaves_does_not_take_the_process_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(workers: Workers) -> None:
        await workers.start()
        both = stand_ins(workers)
        for one in both:
            one.go.clear()
        asked = [asyncio.create_task(workers.run(cast(Any, [k]))) for k in range(2)]
        await until(lambda: sum(one.at_once for one in both) == 2)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        later = [asyncio.create_task(workers.run(cast(Any, [k]))) for k in range(4)]
        await asyncio.sleep(0.05)
        assert [one.most for one in both] == [1, 1], "each still computes what nobody wants"
        for one in both:
            one.go.set()
        results: list[Any] = await asyncio.gather(*later)
        assert results == [[k] for k in range(4)]
        assert [one.most for one in both] == [1, 1]
        workers.stop()

    play(monkeypatch, [INFO, INFO], scenario)


def test_a_comparison_does_not_wait_for_processes_that_have_been_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(workers: Workers) -> None:
        await workers.start()
        workers.stop()
        began = time.monotonic()
        with pytest.raises(ModelFault):
            await asyncio.to_thread(next, workers.compare(TASK))
        with pytest.raises(ModelFault):
            await workers.run([])
        assert time.monotonic() - began < 10

    play(monkeypatch, [INFO, INFO], scenario, timeout_s=30)


def test_a_fault_that_is_an_oserror_is_the_models_and_ends_no_process() -> None:
    ours, theirs = Pipe()
    worker = object.__new__(ModelProcess)
    worker._since, worker._gone, worker._batches = {}, False, ours
    worker.process = cast(Any, Process())

    def answer() -> None:
        for result in ((TimeoutError("a lock"), None), (None, [1])):
            theirs.recv()
            theirs.send(result)
        theirs.recv()
        theirs.close()

    Thread(target=answer, daemon=True).start()
    with pytest.raises(TimeoutError, match="a lock"):
        worker.run([])
    assert cast(Any, worker.run([])) == [1]
    assert (worker._gone, worker.process.exitcode) == (False, None)
    with pytest.raises(ProcessEnded):
        worker.run([])
    assert (worker._gone, worker.process.exitcode) == (True, -9)
