"""A service on a Ray cluster of its own, for the tests of what only a cluster has."""

import os
from collections.abc import Iterator

import pytest

from tests.conftest import Service, running

CLUSTER = ("--engine", "ray", "--ingress-cpus", "0", "--worker-cpus", "1")
OWN = {"RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": "200000000", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Three ingress replicas, and as many classifier replicas as there are cores, two at most."""
    pytest.importorskip("ray", reason="Ray is not installed; make test-ray installs it")
    workers = min(os.cpu_count() or 1, 2)
    arguments = (*CLUSTER, "--ingress-replicas", "3", "--workers", str(workers))
    log = tmp_path_factory.mktemp("cluster") / "log"
    with running(log, *arguments, environment=OWN) as service:
        yield service
