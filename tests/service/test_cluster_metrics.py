"""The metrics of several processes, added up as those of one."""

import copy
import time

import pytest

from darling_service.cluster import metrics
from darling_service.cluster.metrics import Together, samples_of
from darling_service.errors import FieldError, Invalid, Overloaded
from darling_service.telemetry import Telemetry


def shown(together: Together, name: str) -> float | None:
    """The value in the exposition; None where the metric is not there."""
    for line in together.exposition().decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[-1])
    return None


def test_counters_and_gauges_of_all_processes_are_added_up() -> None:
    together = Together()
    for process, groups in ("a", 2), ("b", 3):
        telemetry = Telemetry()
        telemetry.groups.inc(groups)
        telemetry.waiting.set(groups)
        telemetry.batch_seconds.observe(0.3)
        telemetry.workers.set(4)
        together.tell(process, samples_of(telemetry.registry))
        together.tell(process, samples_of(telemetry.registry))  # again, as every second
    assert shown(together, "darling_groups_total") == 5
    assert shown(together, "darling_waiting_rollouts") == 5
    assert shown(together, "darling_batch_seconds_count") == 2
    assert shown(together, 'darling_batch_seconds_bucket{le="0.5"}') == 2
    assert shown(together, "darling_workers") == 4, "each process sees the same four"
    assert together.total("darling_waiting_rollouts") == 5


def test_what_an_ended_process_has_counted_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    together, began = Together(), time.monotonic()
    for number in range(metrics.MAX_ENDED + 10):
        telemetry = Telemetry()
        telemetry.groups.inc()
        telemetry.waiting.set(1)
        ended = began + 2 * number * metrics.GONE_S
        monkeypatch.setattr(time, "monotonic", lambda ended=ended: ended)
        together.tell(str(number), samples_of(telemetry.registry))
    assert shown(together, "darling_groups_total") == metrics.MAX_ENDED + 10
    assert shown(together, "darling_waiting_rollouts") == 1


def test_a_first_sum_waits_until_all_processes_can_have_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began)
    together = Together()
    assert together.whole_in_s() >= metrics.HEARD_S
    monkeypatch.setattr(time, "monotonic", lambda: began + 1000)
    assert together.whole_in_s() == 0


@pytest.mark.parametrize(
    "problem",
    [
        Overloaded("queue", "too much", retry_after_s=3),
        Invalid([FieldError(("groups", 0), "is wrong"), FieldError(("k",), "is wrong too")]),
    ],
)
def test_a_problem_says_the_same_in_another_process(problem: Overloaded | Invalid) -> None:
    other = copy.copy(problem)  # copied as pickle does
    assert type(other) is type(problem)
    assert other.body() == problem.body()
    assert other.headers() == problem.headers()
    assert str(other) == str(problem)
