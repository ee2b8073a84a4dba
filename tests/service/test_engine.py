"""The engine: sharing, fairness, back-pressure, failure, and callers that leave."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from darling_models.errors import InputRejected, ModelBusy, ModelUnavailable
from darling_models.keys import content_key
from darling_models.protocol import (
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Steps,
    Unit,
    all_pairs,
    number_fault,
)
from darling_service.engine.admission import MARGIN
from darling_service.engine.cache import ResultCache
from darling_service.engine.comparing import SLICE_S
from darling_service.engine.engine import INITIAL_TOKENS_PER_SECOND, Engine
from darling_service.errors import Invalid, Overloaded, Problem, Unavailable
from darling_service.telemetry import Telemetry


@dataclass(frozen=True)
class Length:
    tokens: int
    truncated: bool = False
    nbytes: int = 8
    fault: Exception | None = None


BUSY = ModelBusy("429", retry_after_s=42.0)
INFO = ModelInfo("by-length", "1", 0.5, "average", "test")


@dataclass
class ByLength:
    """Judges texts equivalent by their length; one unit per text, counted; can wait and fail."""

    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)
    info: ModelInfo = INFO
    wild: float = 0.0
    """The probability of a pair with a wild text."""
    step_s: float = 0.0
    """Seconds that comparing a pair takes."""
    steps: int = 0
    compared: threading.Event = field(default_factory=threading.Event)
    """Set once a pair has been compared."""

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return Plan([Unit(content_key(t), (t,), len(t)) for t in texts], pairs)

    def run(self, units: Sequence[Unit]) -> list[Length]:
        self.gate.wait()
        texts = [unit.inputs[0] for unit in units]
        self.batches.append(texts)
        if any("unplugged" in text for text in texts):
            raise ModelUnavailable("the model is far away")
        if any("poison" in text for text in texts):
            raise ValueError("poison")
        if "short" in texts:
            return []
        return [self.result(text) for text in texts]

    def result(self, text: str) -> Length:
        faults = {"nan": number_fault(False), "refused": InputRejected("400"), "busy": BUSY}
        return Length(len(text), fault=faults.get(text))

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        lengths = np.asarray([results[content_key(text)].tokens for text in texts])
        equal: FloatArray = (lengths[pairs[:, 0]] == lengths[pairs[:, 1]]).astype(np.float64)
        return np.where([any("wild" in texts[i] for i in pair) for pair in pairs], self.wild, equal)

    def probabilities_in_steps(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        for _ in pairs:
            time.sleep(self.step_s)
            self.steps += 1
            self.compared.set()
            yield
        return self.probabilities(prompt, texts, pairs, results)


Scenario = Callable[[Engine, ByLength], Coroutine[Any, Any, None]]


def play(scenario: Scenario, max_batch_tokens: int = 10, max_queue_tokens: int = 1000) -> ByLength:
    async def main() -> None:
        engine = Engine(model, ResultCache(10_000), Telemetry(), max_batch_tokens, max_queue_tokens)
        await engine.start()
        try:
            await asyncio.wait_for(scenario(engine, model), timeout=20)
        finally:
            model.gate.set()
            await engine.stop()

    model = ByLength()
    asyncio.run(main())
    return model


async def judged(engine: Engine, *texts: str, due: float = math.inf) -> list[float]:
    job = engine.plan("", texts, all_pairs(len(texts)))
    with engine.reserve(job.tokens, len(job.pairs), due) as reservation:
        return [float(p) for p in (await engine.classify(job, reservation)).probabilities]


async def turns(times: int = 20) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def test_equal_texts_of_concurrent_requests_run_once() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        first = asyncio.create_task(judged(engine, "aa", "bb"))
        second = asyncio.create_task(judged(engine, "aa", "ccc"))
        await turns()
        model.gate.set()
        assert await first == [1.0]
        assert await second == [0.0]

    model = play(scenario)
    assert sorted(text for batch in model.batches for text in batch) == ["aa", "bb", "ccc"]


def test_a_result_seen_before_is_not_computed_again() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        model.gate.set()
        assert await judged(engine, "aa", "bb") == await judged(engine, "bb", "aa") == [1.0]

    assert len(play(scenario).batches) == 1


def test_batches_keep_the_token_budget_and_let_a_giant_unit_pass_alone() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        model.gate.set()
        await judged(engine, "a" * 6, "b" * 4, "c" * 25, "d" * 5)

    batches = play(scenario).batches
    assert [len("".join(batch)) for batch in batches] == [10, 25, 5]


def test_a_small_request_is_in_the_batch_after_the_one_that_runs() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        giant = asyncio.create_task(judged(engine, *(f"{i:05}" for i in range(100))))
        await turns()
        small = asyncio.create_task(judged(engine, "x" * 5, "y" * 5))
        await turns()
        model.gate.set()
        await asyncio.gather(giant, small)

    batches = play(scenario).batches
    assert "xxxxx" in batches[1]
    assert len(batches) > 40


def test_a_text_that_waits_with_a_giant_runs_for_a_small_request_at_once() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        giant = asyncio.create_task(judged(engine, *(f"{i:05}" for i in range(100))))
        await turns()
        small = asyncio.create_task(judged(engine, "00099", "y" * 5))
        await turns()
        model.gate.set()
        await asyncio.gather(giant, small)

    batches = play(scenario).batches
    assert "00099" in batches[1] + batches[2]
    assert sum(batch.count("00099") for batch in batches) == 1


def test_comparing_lets_others_go_first_between_slices_and_ends_with_its_caller() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        model.gate.set()
        model.step_s = 0.02
        giant = asyncio.create_task(judged(engine, *(f"{i:02}" for i in range(60))))
        await asyncio.to_thread(model.compared.wait)
        assert await judged(engine, "x", "y") == [1.0]
        assert not giant.done()
        giant.cancel()
        await asyncio.gather(giant, return_exceptions=True)
        taken = model.steps
        assert await judged(engine, "x", "z") == [1.0]
        assert model.steps <= taken + 2 + SLICE_S / model.step_s, "a slice, and the other group"

    assert play(scenario).steps < 60 * 59 / 2


def test_a_request_is_refused_if_its_caller_would_have_given_up_before_its_answer() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        now = asyncio.get_running_loop().time
        # Nothing is known to be ahead of the first: it is tried.
        waiting = asyncio.create_task(judged(engine, "a" * 20_000, "b" * 20_000, due=now() + 0.5))
        await turns()
        with pytest.raises(Overloaded) as refused:
            await judged(engine, "c" * 20_000, due=now() + 5)
        expected = MARGIN * (20_000 + 20_000) / INITIAL_TOKENS_PER_SECOND - 5
        assert refused.value.retry_after_s == pytest.approx(expected, abs=0.1)
        patient = asyncio.create_task(judged(engine, "d" * 20_000, "e", due=now() + 60))
        small = asyncio.create_task(judged(engine, "f", "g", due=now() + 1))
        await turns()
        model.gate.set()
        assert await small == [1.0]
        await asyncio.gather(waiting, patient)

    play(scenario, max_queue_tokens=10**6)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        waiting = asyncio.create_task(judged(engine, "a" * 60, "b" * 30))
        await turns()
        with pytest.raises(Overloaded) as refused:
            await judged(engine, "c" * 40)
        assert int(refused.value.headers()["Retry-After"]) >= 1
        small = asyncio.create_task(judged(engine, "d", "e"))
        await turns()
        model.gate.set()
        await waiting
        assert await small == [1.0], "requests of another size have room of their own"
        await judged(engine, "c" * 40, "d")

    play(scenario, max_queue_tokens=100)


def test_a_request_bigger_than_the_queue_runs_when_nothing_waits() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        model.gate.set()
        assert await judged(engine, "a" * 500, "b" * 500) == [1.0]

    play(scenario, max_queue_tokens=100)


def test_a_unit_that_breaks_the_model_fails_its_own_request_only() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        bad = asyncio.create_task(judged(engine, "poison", "aa"))
        good = asyncio.create_task(judged(engine, "bb", "cc"))
        await turns()
        model.gate.set()
        with pytest.raises(Unavailable) as failed:
            await bad
        assert "Retry-After" in failed.value.headers()
        assert await good == [1.0]
        assert await judged(engine, "dd", "ee") == [1.0]
        assert engine.healthy

    play(scenario)


def test_a_model_out_of_reach_fails_its_batch_at_once() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        first = asyncio.create_task(judged(engine, "unplugged", "aa"))
        second = asyncio.create_task(judged(engine, "bb", "cc"))
        await turns()
        model.gate.set()
        for answer in await asyncio.gather(first, second, return_exceptions=True):
            assert isinstance(answer, Unavailable)
            assert "Retry-After" in answer.headers()
        assert not engine.healthy
        assert await judged(engine, "dd", "ee") == [1.0]
        assert engine.healthy

    assert len(play(scenario, max_batch_tokens=100).batches) == 2, (
        "no unit was tried again by itself"
    )


FAULTS: dict[str, tuple[type[Problem], bool]] = {
    "nan": (Unavailable, False),
    "refused": (Invalid, True),
    "busy": (Overloaded, True),
    "short": (Unavailable, True),
}
"""What a unit with this text comes to, and whether the model counts as healthy after its batch."""


@pytest.mark.parametrize("text", FAULTS)
def test_a_unit_without_a_result_fails_alone_and_is_not_kept(text: str) -> None:
    problem, healthy = FAULTS[text]

    async def scenario(engine: Engine, model: ByLength) -> None:
        bad = asyncio.create_task(judged(engine, text, "aa"))
        good = asyncio.create_task(judged(engine, "bb", "cc"))
        await turns()
        model.gate.set()
        with pytest.raises(problem):
            await bad
        assert await good == [1.0]
        assert engine.healthy == healthy
        with pytest.raises(problem):
            await judged(engine, text, "aa")

    ran = [one for batch in play(scenario, max_batch_tokens=100).batches for one in batch]
    assert ran.count("bb") == (2 if text == "short" else 1)
    assert ran.count(text) >= 2, "asked again, not kept"


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -0.001, 1.001])
def test_probabilities_that_are_none_are_never_told(wild: float) -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        model.gate.set()
        model.wild = wild
        with pytest.raises(Unavailable):
            await judged(engine, "wild", "aaaa")
        assert await judged(engine, "tame", "aaaa") == [1.0]

    play(scenario)


@pytest.mark.parametrize("wild", [0.0, 1.0])
def test_certainty_is_a_probability(wild: float) -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        model.gate.set()
        model.wild = wild
        assert await judged(engine, "wild", "aaaa") == [wild]

    play(scenario)


def test_a_probe_tells_what_is_wrong_and_when_it_is_well_again() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        model.gate.set()
        healthy, model.result = model.result, lambda text: Length(1, fault=number_fault(False))  # type: ignore[method-assign]
        assert "not finite" in str(await engine.probe())
        assert not engine.healthy
        model.result = healthy  # type: ignore[method-assign]
        assert await engine.probe() is None
        assert engine.healthy

    play(scenario)


def test_work_is_dropped_when_its_caller_has_gone_but_not_what_others_wait_for() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        first = asyncio.create_task(judged(engine, "a" * 10))
        await turns()
        leaving = asyncio.create_task(judged(engine, "gone", "shared"))
        staying = asyncio.create_task(judged(engine, "shared", "stay"))
        await turns()
        leaving.cancel()
        await turns()
        model.gate.set()
        assert await staying == [0.0]
        await first
        assert await judged(engine, "gone", "back") == [1.0]

    model = play(scenario)
    ran = [text for batch in model.batches for text in batch]
    assert ran.count("shared") == 1
    assert ran.index("gone") > ran.index("stay"), "ran only when asked for again"


def test_stopping_fails_what_still_waits() -> None:
    async def scenario(engine: Engine, model: ByLength) -> None:
        waiting = asyncio.create_task(judged(engine, "a", "b"))
        await turns()
        model.gate.set()
        later = asyncio.create_task(judged(engine, *(f"{i:010}" for i in range(50))))
        await turns(2)
        await engine.stop()
        results = await asyncio.gather(waiting, later, return_exceptions=True)
        assert isinstance(results[1], Unavailable)

    play(scenario)


def test_the_cache_keeps_its_bound_and_drops_the_least_recent() -> None:
    cache = ResultCache(1000)
    for name in (b"a", b"b", b"c"):
        cache.put(name, Length(1))
    cache.get(b"a")
    cache.put(b"d", Length(1))
    assert cache.get(b"a") is not None
    assert cache.get(b"b") is None
    assert cache.nbytes <= 1000
    cache.put(b"big", Length(1, nbytes=2000))
    assert cache.get(b"big") is None
