"""The simulation of replicas agrees with what queueing theory knows, and loses no group."""

import math
import random
from statistics import fmean
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("simpy", reason="simpy is in the extra dev")

from benchmarks.replicas import lognormal, stream
from benchmarks.simulation import Failures, Fleet, Outcome, Routing

MANY = 60_000
"""Groups that are simulated where a mean is compared with theory."""
SERVICE_S = 2.0


def exponential(count: int) -> list[float]:
    source = random.Random(5)
    return [source.expovariate(1 / SERVICE_S) for _ in range(count)]


def mean_wait(outcome: Outcome) -> float:
    return fmean(group.wait for group in outcome.groups)


@pytest.mark.parametrize("busy", [0.3, 0.7])
def test_one_replica_with_equal_times_waits_as_m_d_1(busy: float) -> None:
    """Pollaczek and Khinchine: half of what M/M/1 waits."""
    found = Fleet(stream([SERVICE_S] * MANY, 1, busy), 1, "hash").run()
    assert mean_wait(found) == pytest.approx(busy * SERVICE_S / (2 * (1 - busy)), rel=0.05)


@pytest.mark.parametrize("busy", [0.3, 0.7])
def test_one_replica_with_exponential_times_waits_as_m_m_1(busy: float) -> None:
    found = Fleet(stream(exponential(MANY), 1, busy), 1, "turns").run()
    assert mean_wait(found) == pytest.approx(busy * SERVICE_S / (1 - busy), rel=0.08)


def test_a_lognormal_spread_waits_as_m_g_1() -> None:
    spread, busy = 0.5, 0.7
    found = Fleet(stream(lognormal(SERVICE_S, spread, MANY), 1, busy), 1, "hash").run()
    variation = math.exp(spread**2) - 1
    expected = busy * SERVICE_S / (1 - busy) * (1 + variation) / 2
    assert mean_wait(found) == pytest.approx(expected, rel=0.05)


def test_by_hash_each_replica_is_a_queue_of_its_own() -> None:
    """A Poisson stream that is split at random is one in each part."""
    busy = 0.7
    found = Fleet(stream([SERVICE_S] * MANY, 10, busy), 10, "hash").run()
    assert mean_wait(found) == pytest.approx(busy * SERVICE_S / (2 * (1 - busy)), rel=0.08)
    share = MANY / 10
    assert all(abs(served - share) < 5 * math.sqrt(share) for served in found.served)


def test_turns_wait_less_than_a_hash_and_the_shortest_queue_least() -> None:
    arrivals = stream(lognormal(SERVICE_S, 0.5, 20_000), 20, 0.8)
    waits = {
        routing: mean_wait(Fleet(arrivals, 20, routing).run()) for routing in get_args(Routing)
    }
    assert waits["shortest"] < waits["turns"] < waits["hash"]


@pytest.mark.parametrize("routing", get_args(Routing))
@pytest.mark.parametrize("failures", [None, Failures(mean_up_s=100, down_s=10)])
def test_littles_law_holds(routing: Routing, failures: Failures | None) -> None:
    """Groups in the system: the rate at which they come times the time that they stay."""
    found = Fleet(stream(exponential(5_000), 8, 0.7), 8, routing, failures).run()
    rate = len(found.groups) / found.seconds
    stay = fmean(group.wait + group.service for group in found.groups)
    assert found.mean_in_system == pytest.approx(rate * stay, rel=1e-9)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 10)), max_size=60),
    st.integers(1, 6),
    st.sampled_from(get_args(Routing)),
    st.floats(5, 200),
    st.floats(0.1, 20),
    st.integers(0, 1000),
)
def test_no_group_is_lost_or_answered_twice(
    arrivals: list[tuple[float, float]],
    replicas: int,
    routing: Routing,
    mean_up_s: float,
    down_s: float,
    seed: int,
) -> None:
    failures = Failures(mean_up_s + 10, down_s)
    fleet = Fleet(sorted(arrivals), replicas, routing, failures, cohort_s=5, seed=seed)
    found = fleet.run()
    assert sum(found.served) == len(arrivals)
    for group in found.groups:
        assert group.answered is not None
        assert group.wait >= -1e-9
        assert group.tries >= 1
    needed = math.fsum(service for _, service in arrivals)
    again = sum(group.tries - 1 for group in found.groups)
    assert again <= found.failures
    assert math.fsum(found.busy) >= needed - 1e-6
    if again == 0:
        assert math.fsum(found.busy) == pytest.approx(needed)


def test_replicas_are_down_for_their_share_of_the_time() -> None:
    failures = Failures(mean_up_s=90, down_s=10)
    found = Fleet(stream([0.1] * 30_000, 20, 0.05), 20, "hash", failures).run()
    assert sum(found.down) / (20 * found.seconds) == pytest.approx(0.1, rel=0.1)


def test_failures_that_never_come_change_nothing() -> None:
    arrivals = stream(exponential(2_000), 4, 0.7)
    found = [Fleet(arrivals, 4, "turns", failures).run() for failures in (None, Failures(1e12, 10))]
    assert found[0] == found[1]


def test_a_step_that_comes_at_once_ends_when_the_last_replica_has_done_its_share() -> None:
    found = Fleet([(0.0, SERVICE_S)] * 103, 10, "shortest").run()
    assert found.seconds == 11 * SERVICE_S
    assert sorted(found.served) == [10] * 7 + [11] * 3


def test_what_a_replica_had_when_it_failed_begins_anew_on_another() -> None:
    """One of two fails in the middle of its only group: the other, idle, does it from the start."""

    class Once(Fleet):
        def _fail(self, server, failures):  # type: ignore[no-untyped-def]
            if self._outcome.failures == 0:
                self._outcome.failures = 1
                yield self._env.timeout(5)
                server.interrupt()

    found = Once([(0.0, 8.0)], 2, "turns", Failures(1, 100)).run()
    (group,) = found.groups
    assert (group.tries, group.answered, group.wait) == (2, 13.0, 5.0)
    assert found.busy == [5.0, 8.0]


def test_a_cohort_is_split_only_when_its_replica_comes_back_meanwhile() -> None:
    arrivals = stream([0.5] * 20_000, 10, 0.5)
    failures = Failures(mean_up_s=600, down_s=30)
    assert Fleet(arrivals, 10, "hash", None, cohort_s=20).run().split == 0
    found = Fleet(arrivals, 10, "hash", failures, cohort_s=20).run()
    # A return splits the groups of this replica that are open then: those of 20 s.
    rate = len(arrivals) / found.seconds / 10
    assert found.split == pytest.approx(found.failures * rate * 20, rel=0.2)
