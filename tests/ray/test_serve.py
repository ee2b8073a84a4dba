"""`serve --engine ray`: cohorts meet exactly, and replicas that are killed cost no group."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from darling_client import Client, CohortRollout, Group, Rollout, RolloutReward
from darling_service.cli.main import FAILED, INTERRUPTED
from tests.commands import Command
from tests.conftest import Service, metric, until
from tests.ray.processes import descendants

TEXTS = ["Lisbon", "The answer is Lisbon.", "It is Porto.", "Porto", "Madrid, I think", "Lisbon"]


def groups_of(count: int) -> list[Group]:
    quality = [index / len(TEXTS) for index in range(len(TEXTS))]
    return [
        Group(f"What is the capital, number {number}?", TEXTS, quality=quality)
        for number in range(count)
    ]


def replicas(cluster: Service, deployment: str) -> list[int]:
    """Process ids of the deployment's replicas on this cluster, which Ray names after it."""
    return descendants(cluster.process.pid, f"ray::ServeReplica:darling-reward:{deployment}")


def gathered(
    client: Client, run: str, groups: list[Group], meanwhile: Callable[[], None] = lambda: None
) -> list[list[RolloutReward]]:
    """The share of each rollout, each sent by a caller of its own, the last ones `meanwhile`."""

    def share(number: int, member: int) -> RolloutReward:
        group = groups[number]
        quality = group.quality[member] if group.quality else None
        rollout = CohortRollout(
            group_id=number,
            member_id=member,
            group_size=len(TEXTS),
            prompt=group.prompt,
            rollout=Rollout(TEXTS[member], quality=quality),
        )
        return client.rollout(rollout, run=run)

    with ThreadPoolExecutor(len(groups) * len(TEXTS)) as callers:
        waiting = []
        for member in range(len(TEXTS)):
            if member == len(TEXTS) - 1:
                meanwhile()
            waiting += [(n, callers.submit(share, n, member)) for n in range(len(groups))]
        result: list[list[RolloutReward]] = [[] for _ in groups]
        for number, future in waiting:
            result[number].append(future.result())
    return result


def assert_exact(client: Client, groups: list[Group], shares: list[list[RolloutReward]]) -> None:
    """Every rollout has the reward that it has when its group is sent as a whole."""
    for whole, parts in zip(client.rewards(groups), shares, strict=True):
        assert all(part.group_complete for part in parts)
        assert [part.reward for part in parts] == list(whole.rewards)
        assert [part.class_ for part in parts] == list(whole.partition)


def test_cohorts_meet_whichever_replica_their_rollouts_come_to(cluster: Service) -> None:
    groups = groups_of(20)
    complete = metric(cluster, 'darling_cohorts_total{end="complete"}')
    with Client(cluster.url, parallel=200) as client:
        assert_exact(client, groups, gathered(client, "cohorts", groups))
    assert metric(cluster, 'darling_cohorts_total{end="complete"}') == complete + len(groups)


def test_metrics_are_those_of_all_replicas(cluster: Service) -> None:
    def rewarded() -> float:
        return metric(cluster, 'darling_requests_total{route="/v1/rewards",status="200"}')

    before = rewarded()
    body = {"groups": [{"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 1]}]}
    for _ in range(10):  # a connection each, so that all replicas get some
        httpx.post(f"{cluster.url}/v1/rewards", json=body, timeout=60).raise_for_status()
    until(lambda: rewarded() == before + 10, 10)


@pytest.mark.parametrize("deployment", ["classifier", "ingress"])
def test_a_killed_replica_costs_no_group(cluster: Service, deployment: str) -> None:
    groups, before = groups_of(20), replicas(cluster, deployment)

    def kill() -> None:
        time.sleep(1)  # the first rollouts wait, and the classifier is at work
        os.kill(before[0], signal.SIGKILL)

    with Client(cluster.url, parallel=200) as client:
        shares = gathered(client, f"killed {deployment}", groups, kill)
        assert_exact(client, groups, shares)
    until(lambda: len(set(replicas(cluster, deployment)) - {before[0]}) == len(before), 120)


def test_health_says_when_no_classifier_replica_is_left(cluster: Service) -> None:
    def is_ready() -> bool:
        return httpx.get(f"{cluster.url}/health/ready", timeout=60).status_code == 200

    for replica in replicas(cluster, "classifier"):
        os.kill(replica, signal.SIGKILL)
    until(lambda: not is_ready(), 60)
    until(is_ready, 120)


def test_a_worker_without_a_copy_to_hold_is_refused() -> None:
    pytest.importorskip("ray", reason="Ray is not installed; make test-ray installs it")
    command = [sys.executable, "-m", "darling_service.cli", "serve", "--engine", "ray"]
    words = [*command, "--model", "exact", "--workers", "2", "--port", "0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "raise ingress_replicas instead" in done.stderr


@pytest.fixture
def others_cluster() -> Iterator[str]:
    """The address of a cluster with an application of somebody else and no room for replicas."""
    ray = pytest.importorskip("ray", reason="Ray is not installed; make test-ray installs it")
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


@pytest.mark.filterwarnings("default")  # Ray leaves its processes to a reaper
def test_a_start_that_is_given_up_leaves_no_application(
    others_cluster: str, tmp_path: Path
) -> None:
    from ray import serve

    def started(log: Path, *more: str) -> Command:
        words = ["serve", "--engine", "ray", "--ray-address", others_cluster, "--host", "127.0.0.1"]
        return Command([*words, "--port", "0", *more], stdout=log, stderr=log)

    def applications() -> Collection[str]:
        return set(serve.status().applications)

    waits = started(tmp_path / "waits", "--worker-cpus", "64")
    until(lambda: "darling-reward" in applications(), 300)
    waits.terminate()
    assert waits.wait(120) == INTERRUPTED, (tmp_path / "waits").read_text()
    assert not applications()

    class Trainers:
        """An application at the root of the cluster's proxies."""

    trainers = serve.deployment(ray_actor_options={"num_cpus": 0})(Trainers)
    serve.run(trainers.bind(), name="trainers")
    refused = started(tmp_path / "refused", "--model", "exact", "--ingress-cpus", "0")
    assert refused.wait(120) == FAILED
    said = (tmp_path / "refused").read_text()
    assert 'used by application "trainers"' in said
    assert "serve delete" in said
    assert "Traceback" not in said
    assert list(applications()) == ["trainers"]
