"""The cohort endpoint under load: exact, and empty afterwards (a small `benchmarks.cohorts`)."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.cohorts import hold, make_groups, storm, wrong_answers
from tests.conftest import metric, running, until

DEADLINE_S = 15
"""Long enough that a busy machine lets no member of a group come too late."""
KEEP_S = 5


@pytest.mark.slow
def test_a_storm_of_rollouts_gets_exact_rewards_and_leaves_nothing_behind(tmp_path: Path) -> None:
    groups = make_groups(300, 8, words=30, seed=5)
    with running(tmp_path / "log", "--model", "ngram", "--cohort-ttl-s", str(KEEP_S)) as service:
        done = asyncio.run(storm(service.url, groups, 300, DEADLINE_S, seed=5))
        assert asyncio.run(wrong_answers(service.url, groups)) == []
        assert {name for name in done if name.startswith("status")} == {"status 200"}
        assert min(done[what] for what in ("sent twice", "hung up and came again")) >= 5
        partial = [group for group in groups if len(group.answers) < 8]
        assert sum(8 - len(group.answers) for group in partial) == done["never came"] > 0
        assert metric(service, "darling_waiting_rollouts") == 0
        until(lambda: metric(service, "darling_cohort_bytes") == 0)
        ended = 'darling_cohorts_total{end="%s"}'
        assert metric(service, ended % "partial") == len(partial)
        assert metric(service, ended % "complete") == 300 - len(partial)
        assert "Traceback" not in service.log.read_text()


def test_many_callers_wait_at_once(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--model", "ngram") as service:
        found = asyncio.run(hold(service.url, service.process.pid, 1400, size=8, words=20))
    assert found["waiting"] == 1400
    assert found["wrong"] == []
    assert found["waiting_at_the_end"] == 0
