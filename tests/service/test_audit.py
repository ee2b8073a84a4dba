"""The audit: what it scores again, what it finds, and that it never keeps an answer waiting."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from darling_models.lexical import Exact
from darling_models.protocol import FloatArray, IntArray, Plan, Result, Steps, Unit, text_unit
from darling_service.audit import Audit
from darling_service.errors import Unavailable
from darling_service.http.examples import (
    EQUIVALENCE_REQUESTS,
    PARTITION_REQUESTS,
    PREFERENCE_REQUESTS,
    REWARD_REQUESTS,
)
from darling_service.pipeline import Pipeline
from darling_service.request_id import begin
from darling_service.schemas.requests import (
    EquivalenceRequest,
    PartitionRequest,
    PreferenceRequest,
    RewardRequest,
)
from darling_service.schemas.responses import ModelUsed, PartitionResponse, Usage
from darling_service.settings import Settings
from darling_service.telemetry import AUDIT_OUTCOMES, Telemetry
from tests.conftest import until
from tests.service.test_engine import Length

TELEMETRY = Telemetry()
RESPONSE = PartitionResponse([], ModelUsed("m", "1", 0.5, None, "all", None), Usage())
ROOT = Path(__file__).parents[2]
GROUP = {"prompt": "Name a city.", "rollouts": ["Lisbon", "Kyoto", "a", "b"], "quality": [1] * 4}
REWARDS = RewardRequest.model_validate({"groups": [GROUP], "return_probabilities": True})


@asynccontextmanager
async def pipeline(model: str = "exact", share: float = 1) -> AsyncIterator[Pipeline]:
    service = Pipeline(Settings(model=model, audit_share=share))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def count(service: Pipeline, outcome: str) -> float:
    return float(service.telemetry.audits.labels(outcome)._value.get())


async def audited(service: Pipeline) -> dict[str, float]:
    """The counts once nothing is being scored again."""
    task = service._audit._task
    assert task is not None, "the request was drawn"
    await asyncio.wait_for(asyncio.shield(task), 60)
    return {outcome: count(service, outcome) for outcome in AUDIT_OUTCOMES}


CALLS: dict[str, tuple[Callable[[Pipeline, Any], Any], Any, dict[str, Any]]] = {
    "rewards": (Pipeline.rewards, RewardRequest, REWARD_REQUESTS),
    "partitions": (Pipeline.partitions, PartitionRequest, PARTITION_REQUESTS),
    "preferences": (Pipeline.preferences, PreferenceRequest, PREFERENCE_REQUESTS),
    "equivalence": (Pipeline.equivalence, EquivalenceRequest, EQUIVALENCE_REQUESTS),
}


def test_whatever_is_asked_is_scored_again_to_the_same_bits() -> None:
    async def ask() -> None:
        async with pipeline("embedded") as service:
            asked = 0
            for call, schema, bodies in CALLS.values():
                for body in bodies.values():
                    await call(service, schema.model_validate(body))
                    asked += 1
                    assert (await audited(service))["equal"] == asked
            volume = {"objective": "additive", "diversity": "volume", "weights": {"diversity": 1}}
            await service.rewards(
                RewardRequest.model_validate({"groups": [GROUP], "reward": volume})
            )
            assert await audited(service) == {
                **dict.fromkeys(AUDIT_OUTCOMES, 0),
                "equal": asked + 1,
            }

    asyncio.run(ask())


def test_exploration_by_visits_is_scored_again_without_being_counted_twice() -> None:
    body = {
        "groups": [{**GROUP, "rollouts": [{"text": t, "answer": t} for t in "abca"]}],
        "reward": {"exploration": "visits", "advantage": "centered"},
    }

    async def ask() -> None:
        async with pipeline() as service, pipeline(share=0) as unwatched:
            for step in range(3):
                request = RewardRequest.model_validate({**body, "run": {"name": "r", "step": step}})
                answer = await service.rewards(request)
                assert (await audited(service))["equal"] == step + 1
                assert answer.groups == (await unwatched.rewards(request)).groups

    asyncio.run(ask())


def test_an_earlier_step_that_comes_late_is_no_damage() -> None:
    body = {
        "groups": [{**GROUP, "rollouts": [{"text": t, "answer": t} for t in "abca"]}],
        "reward": {"exploration": "visits", "advantage": "centered"},
    }

    def of_step(step: int) -> RewardRequest:
        return RewardRequest.model_validate({**body, "run": {"name": "r", "step": step}})

    async def ask() -> None:
        async with pipeline() as service:
            service._being_answered += 1  # so that the audit waits
            await service.rewards(of_step(5))
            drawn = service._audit._task
            await service.rewards(of_step(4))
            service._being_answered -= 1
            assert service._audit._task is drawn
            assert (await audited(service))["equal"] == 1

    asyncio.run(ask())


class Damage:
    """A model of one unit a text, whose results depend on what the test does to them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self.off = False
        monkeypatch.setattr(Exact, "plan", self._plan)
        monkeypatch.setattr(Exact, "run", self._run)
        monkeypatch.setattr(Exact, "probabilities_in_steps", self._probabilities)

    def _plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return Plan([text_unit(text) for text in texts], pairs)

    def _run(self, units: Sequence[Unit]) -> Sequence[Result]:
        self.batches.append(len(units))
        return [Length(len(unit.inputs[0]) + (self.off and len(units) > 1)) for unit in units]

    def _probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        yield
        lengths = [results[text_unit(text).key].tokens for text in texts]
        return np.asarray([1 / (1 + lengths[i] + lengths[j]) for i, j in pairs.tolist()])


def test_a_result_that_depends_on_its_batch_is_found_and_told_with_the_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damage = Damage(monkeypatch)

    async def ask() -> None:
        async with pipeline() as service:
            begin("step-9")
            await service.rewards(REWARDS)
            assert (await audited(service))["equal"] == 1
            assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
            assert damage.batches[-4:] == [1] * 4, "each text by itself"
            damage.off = True
            other = {**GROUP, "rollouts": ["c", "dd", "eee", "ffff"]}
            await service.rewards(
                RewardRequest.model_validate({"groups": [other], "return_probabilities": True})
            )
            assert (await audited(service))["differing"] == 1
        (line,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert "differs" in line.getMessage()

    asyncio.run(ask())


def test_a_damaged_cache_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    Damage(monkeypatch)

    async def ask() -> None:
        async with pipeline() as service:
            await service.rewards(REWARDS)
            assert (await audited(service))["equal"] == 1
            cache = service._engines._cache
            for key in list(cache._entries):
                cache.put(key, Length(99))
            await service.rewards(REWARDS)
            assert (await audited(service))["differing"] == 1

    asyncio.run(ask())


def test_it_waits_until_nothing_else_is_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    damage = Damage(monkeypatch)

    async def ask() -> None:
        async with pipeline() as service:
            await service.rewards(REWARDS)
            service._being_answered += 1
            before = len(damage.batches)
            await asyncio.sleep(0.2)
            assert len(damage.batches) == before
            await service.rewards(REWARDS)
            assert count(service, "skipped") == 1, "one at a time"
            service._being_answered -= 1
            assert (await audited(service))["equal"] == 1

    asyncio.run(ask())


def test_a_request_that_comes_meanwhile_waits_for_one_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    damage = Damage(monkeypatch)
    run = damage._run

    def slow(units: Sequence[Unit]) -> Sequence[Result]:
        if len(units) == 1:
            time.sleep(0.05)
        return run(units)

    monkeypatch.setattr(Exact, "run", staticmethod(slow))
    many = {"prompt": "p", "rollouts": ["x" * n for n in range(1, 65)], "quality": [1] * 64}

    async def ask() -> None:
        async with pipeline() as service:
            await service.rewards(RewardRequest.model_validate({"groups": [many]}))
            await asyncio.to_thread(until, lambda: damage.batches[-1] == 1)
            before = len(damage.batches)
            await service.rewards(REWARDS)
            since = damage.batches[before:]
            assert since.count(1) <= 2, "the unit under way, and one that began before the request"
            assert sum(since) - since.count(1) >= 4
            service._audit.stop()

    asyncio.run(ask())


def test_a_stop_gives_it_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Damage(monkeypatch)

    async def ask() -> None:
        async with pipeline() as service:
            await service.rewards(REWARDS)
        task = service._audit._task
        assert task is not None
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert count(service, "equal") == count(service, "differing") == 0

    asyncio.run(ask())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("fault", [Unavailable("later"), RuntimeError("boom")])
def test_a_request_that_cannot_be_scored_again_is_counted(
    caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    async def again() -> PartitionResponse:
        raise fault

    async def ask() -> None:
        audit = Audit(1.0, TELEMETRY)
        before = TELEMETRY.audits.labels("failed")._value.get()
        audit.consider(RESPONSE, again)
        assert audit._task is not None
        await audit._task
        assert TELEMETRY.audits.labels("failed")._value.get() == before + 1

    asyncio.run(ask())
    (line,) = caplog.records
    assert bool(line.exc_info) == isinstance(fault, RuntimeError)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_so_many_requests_are_drawn(share: float) -> None:
    async def ask() -> int:
        drawn = 0
        for _ in range(400):
            audit = Audit(share, TELEMETRY)
            audit.consider(RESPONSE, again)
            drawn += audit._task is not None
            audit.stop()
        return drawn

    async def again() -> PartitionResponse:
        return RESPONSE

    assert abs(asyncio.run(ask()) - 400 * share) <= (60 if 0 < share < 1 else 0)


def test_an_alert_is_raised_by_the_first_answer_that_differs() -> None:
    scraped = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yaml").read_text())
    (file,) = scraped["rule_files"]
    mounts = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]["prometheus"]
    assert f"./prometheus/alerts.yaml:{file}:ro" in mounts["volumes"]
    groups = yaml.safe_load((ROOT / "docker/prometheus/alerts.yaml").read_text())["groups"]
    exposed = Telemetry().exposition().decode()
    for rule in [rule for group in groups for rule in group["rules"]]:
        assert rule["annotations"]["summary"]
        for metric in re.findall(r"darling_\w+", rule["expr"]):
            assert f"# TYPE {metric.removesuffix('_total').removesuffix('_bucket')}" in exposed
    assert 'darling_audits_total{outcome="differing"} 0.0' in exposed
