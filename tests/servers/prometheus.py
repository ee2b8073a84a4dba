"""A Prometheus of Debian's package that scrapes a service with our configuration."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker/prometheus"
SCRAPE_S = 0.5
"""Seconds between two scrapes and two looks at the rules, where the configuration has five."""


def program(name: str) -> str:
    """Path of prometheus or promtool; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed; apt-get install prometheus brings it")
    return path


class Prometheus:
    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def query(self, expression: str, moment: float | None = None) -> list[Any]:
        """The series that an expression gives at a time in seconds since 1970, or now. Fails where
        it is no expression."""
        at = {} if moment is None else {"time": str(moment)}
        answer = self._http.get("/query", params={"query": expression, **at})
        assert answer.status_code == 200, answer.text
        result: list[Any] = answer.json()["data"]["result"]
        return result

    def firing(self) -> dict[str, dict[str, str]]:
        """The labels of the alerts that are raised, by name."""
        alerts = self._http.get("/alerts").raise_for_status().json()["data"]["alerts"]
        return {a["labels"]["alertname"]: a["labels"] for a in alerts if a["state"] == "firing"}

    def is_ready(self) -> bool:
        """Whether it has scraped the service."""
        try:
            answer = self._http.get("/query", params={"query": "up == 1"})
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and bool(answer.json()["data"]["result"])


@contextmanager
def running(target: str, folder: Path) -> Iterator[Prometheus]:
    """Scrapes a service at HOST:PORT, and watches the alert rules of `docker/prometheus`."""
    configuration = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    configuration["global"] = {
        "scrape_interval": f"{1000 * SCRAPE_S:.0f}ms",
        "evaluation_interval": f"{1000 * SCRAPE_S:.0f}ms",
    }
    configuration["rule_files"] = [str(FOLDER / "alerts.yaml")]
    (job,) = configuration["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1", timeout=30) as http:
            prometheus = Prometheus(http)
            until(prometheus.is_ready, 60)
            yield prometheus
    finally:
        process.kill()
        process.wait(30)
