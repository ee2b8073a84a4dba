"""The counters of runs: what they add up to, and that their number is bounded."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from darling_service.history.figures import Figures, figures_of, total
from darling_service.history.recorded import RunKey
from darling_service.run_metrics import IDLE_S, MAX_RUNS, OTHER, RunMetrics

GROUPS = st.lists(
    st.tuples(st.integers(0, 4), st.floats(-10, 10), st.floats(-10, 10)), min_size=1, max_size=12
)


@given(st.lists(GROUPS, min_size=1, max_size=5))
def test_the_counters_of_a_run_are_the_sums_of_its_groups(
    groups: list[list[tuple[int, float, float]]],
) -> None:
    registry = CollectorRegistry()
    metrics = RunMetrics(registry)
    for step, rows in enumerate(groups):
        partition, quality, rewards = zip(*rows, strict=True)
        metrics.observe(
            RunKey("", "r"), step, figures_of(partition, quality, rewards, partial=step % 2 == 1)
        )

    def value(name: str, **labels: str) -> float:
        sample = registry.get_sample_value(f"darling_run_{name}", {"run": "r", **labels})
        assert sample is not None
        return sample

    def signed(name: str, **labels: str) -> float:
        positive, negative = (value(name, **labels, sign=s) for s in ("positive", "negative"))
        assert min(positive, negative) >= 0
        return positive - negative

    assert value("groups_total") == len(groups)
    assert value("rollouts_total") == sum(map(len, groups))
    assert value("partial_groups_total") == len(groups) // 2
    classes = [{row[0] for row in rows} for rows in groups]
    assert value("classes_total") == sum(map(len, classes))
    collapsed = [len(c) == 1 and len(g) > 1 for c, g in zip(classes, groups, strict=True)]
    assert value("collapsed_groups_total") == sum(collapsed)
    every = [row for rows in groups for row in rows]
    assert signed("reward_total") == pytest.approx(sum(row[2] for row in every), abs=1e-9)
    parts = [signed("quality_total", rollouts=kind) for kind in ("distinct", "duplicated")]
    assert sum(parts) == pytest.approx(sum(row[1] for row in every), abs=1e-9)
    rated = [value("rated_rollouts_total", rollouts=kind) for kind in ("distinct", "duplicated")]
    assert sum(rated) == len(every)
    assert value("step") == len(groups) - 1


@pytest.mark.parametrize(
    ("partition", "effective", "share", "diversity"),
    [
        ([0], 1, 1, 1),
        ([0, 0, 0, 0], 1, 1, 0),
        ([0, 1, 2, 3], 4, 0.25, 1),
        ([0, 0, 1, 1], 2, 0.5, 2 / 3),
        ([0, 0, 1, 2], 2 * math.sqrt(2), 0.5, 5 / 6),
    ],
)
def test_figures_by_hand(
    partition: list[int], effective: float, share: float, diversity: float
) -> None:
    figures = figures_of(partition)
    assert figures.effective_classes == pytest.approx(effective)
    assert figures.entropy == pytest.approx(math.log(effective))
    assert figures.dominant_share == share
    assert figures.diversity == pytest.approx(diversity)
    assert figures.collapsed_groups == (len(partition) > 1 and share == 1)
    assert total([figures, figures, Figures()]).rollouts == 2 * len(partition)


def labels_of(registry: CollectorRegistry) -> set[str]:
    return {
        sample.labels["run"]
        for family in registry.collect()
        for sample in family.samples
        if "run" in sample.labels
    }


def test_runs_beyond_the_limit_are_counted_together_until_others_are_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry, now = CollectorRegistry(), [time.monotonic()]
    monkeypatch.setattr("darling_service.run_metrics.time.monotonic", lambda: now[0])
    metrics = RunMetrics(registry)
    one = figures_of([0, 1], [-1.0, 1.0], [1.0, 1.0])

    def groups_of(run: str) -> float | None:
        return registry.get_sample_value("darling_run_groups_total", {"run": run})

    for k in range(500):
        metrics.observe(RunKey("", f"run {k}"), k, one)
    assert labels_of(registry) == {OTHER, *(f"run {k}" for k in range(MAX_RUNS))}
    assert groups_of(OTHER) == 500 - MAX_RUNS
    bounded = sum(len(family.samples) for family in registry.collect())
    assert bounded <= 21 * (MAX_RUNS + 1)
    now[0] += IDLE_S / 2
    metrics.observe(RunKey("", "run 0"), 1, one)
    now[0] += IDLE_S / 2
    metrics.observe(RunKey("", "new"), 1, one)
    assert groups_of("new") == 1
    assert groups_of("run 0") == 2
    assert groups_of("run 1") is None
    for k in range(500):
        metrics.observe(RunKey("", f"again {k}"), k, one)
    assert len(labels_of(registry)) == MAX_RUNS + 1
    assert {"run 0", "new"} <= labels_of(registry)


CALLERS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 30)), max_size=120)


@given(CALLERS)
def test_no_key_keeps_another_from_its_share(runs: list[tuple[str, int]]) -> None:
    registry = CollectorRegistry()
    metrics = RunMetrics(registry)
    one = figures_of([0, 1])
    # The first key starts a sweep before anybody else.
    keys = [RunKey("a", f"sweep {k}") for k in range(2 * MAX_RUNS)]
    keys += [RunKey(caller, f"run {number}") for caller, number in runs]
    for key in keys:
        metrics.observe(key, 0, one)
    labels = labels_of(registry) - {OTHER}
    assert len(labels) == MAX_RUNS
    own = {caller: sum(one.startswith(f"{caller}/") for one in labels) for caller in "abcd"}
    for caller, count in own.items():
        wanted = len({key for key in keys if key.caller == caller})
        assert count >= min(wanted, max(own.values()) - 1), "a key with two fewer gets a place"


def test_runs_of_two_keys_do_not_push_each_other_out_in_turn() -> None:
    registry = CollectorRegistry()
    metrics = RunMetrics(registry)
    one = figures_of([0, 1])
    keys = [RunKey(caller, f"{k}") for caller in ("a", "b") for k in range(2 * MAX_RUNS)]
    for key in keys:
        metrics.observe(key, 0, one)
    settled = labels_of(registry)
    for _ in range(3):
        for key in keys:
            metrics.observe(key, 0, one)
    assert labels_of(registry) == settled


def test_a_run_that_is_called_other_takes_no_place() -> None:
    registry = CollectorRegistry()
    metrics = RunMetrics(registry)
    one = figures_of([0, 1])
    for key in ("other", *map(str, range(MAX_RUNS)), "beyond"):
        metrics.observe(RunKey("", key), 0, one)
    assert registry.get_sample_value("darling_run_groups_total", {"run": OTHER}) == 2
    assert len(labels_of(registry)) == MAX_RUNS + 1
