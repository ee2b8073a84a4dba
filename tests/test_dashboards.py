"""Dashboards and alert rules, in a real Prometheus that scrapes a real service."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import running, until
from tests.servers import prometheus
from tests.servers.prometheus import Prometheus

ROOT = Path(__file__).parent.parent
RULES = ROOT / "docker/prometheus"
DASHBOARDS = [
    json.loads(file.read_text()) for file in sorted(ROOT.glob("docker/grafana/dashboards/*.json"))
]
VARIABLES = {"$run": ".*", "$window": "5s"}
"""What the variables of the dashboards stand for here."""
QUERIES = [
    pytest.param(target["expr"], id=f"{dashboard['uid']}, {panel['title']}, {target['refId']}")
    for dashboard in DASHBOARDS
    for panel in dashboard["panels"]
    for target in panel["targets"]
]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Prometheus]]:
    """A service, and the Prometheus that scrapes it."""
    prometheus.program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        running(folder / "log", "--model", "exact") as service,
        prometheus.running(service.url.removeprefix("http://"), folder) as server,
        service.client() as http,
    ):
        yield http, server


def send(http: httpx.Client, step: int, *texts: str) -> None:
    """Four groups of a step, each of these texts."""
    rollouts = [{"text": text, "quality": i - 1} for i, text in enumerate(texts)]
    groups = [{"prompt": f"Prompt {i}", "rollouts": rollouts} for i in range(4)]
    body = {"groups": groups, "run": {"name": "collapsing", "step": step}}
    assert http.post("/v1/rewards", json=body).status_code == 200


def scraped(server: Prometheus, groups: int) -> bool:
    """Whether Prometheus has seen that many groups of the run."""
    seen = server.query('darling_run_groups_total{run="collapsing"}')
    return bool(seen) and float(seen[0]["value"][1]) >= groups


def test_a_run_that_collapses_from_step_100_raises_the_alert(
    watched: tuple[httpx.Client, Prometheus],
) -> None:
    http, server = watched
    send(http, 0, "a", "b", "c", "c")
    until(lambda: scraped(server, 4))  # rates begin with the first value that is seen
    for step in range(1, 100):
        send(http, step, "a", "b", "c", "c")
    until(lambda: scraped(server, 400))
    assert "GroupsCollapse" not in server.firing()
    for step in range(100, 250):
        send(http, step, "a", "a", "a", "a")
    until(lambda: "GroupsCollapse" in server.firing())
    assert server.firing()["GroupsCollapse"]["run"] == "collapsing"


SAMPLES = "count_over_time(darling_run_step[5s]) >= 2"
SEEN = f"{SAMPLES} and {SAMPLES.replace('[5s]', '[5s] offset 5s')}"
"""Whether the last five seconds have a rate, and the five before: a busy machine scrapes rarely."""


@pytest.fixture(scope="module")
def busy(watched: tuple[httpx.Client, Prometheus]) -> tuple[Prometheus, float]:
    """The Prometheus, and a moment by which everything that is measured has happened."""
    http, server = watched
    rollout = {"group_id": 1, "group_size": 1, "prompt": "p", "text": "a", "quality": 1.0}
    for step in range(250, 256):
        send(http, step, "a", "b", "b", "d")
        member = {**rollout, "group_id": step, "run": "collapsing"}
        assert http.post("/v1/rollouts", json=member).status_code == 200
        until(lambda: _latest(server) >= step)  # noqa: B023 (called at once)
    moments: list[float] = []

    def seen() -> bool:
        moments.extend(series["value"][0] for series in server.query(SEEN))
        return bool(moments)

    until(seen, 60)
    return server, moments[0]


def _latest(server: Prometheus) -> float:
    (step,) = server.query('darling_run_step{run="collapsing"}') or [{"value": [0, "-1"]}]
    return float(step["value"][1])


@pytest.mark.parametrize("expression", QUERIES)
def test_every_query_of_the_dashboards_has_an_answer(
    busy: tuple[Prometheus, float], expression: str
) -> None:
    server, moment = busy
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    assert server.query(expression, moment)


def test_the_run_picker_lists_the_runs(busy: tuple[Prometheus, float]) -> None:
    (runs,) = [d for d in DASHBOARDS if d["uid"] == "darling-runs"]
    variables = {one["name"]: one for one in runs["templating"]["list"]}
    assert {f"${name}" for name in variables} == set(VARIABLES)
    query = variables["run"]["query"]["query"]
    assert query == "label_values(darling_run_groups_total, run)"
    server, moment = busy
    series = server.query("darling_run_groups_total", moment)
    assert {one["metric"]["run"] for one in series} == {"collapsing"}


def test_the_rules_hold_what_their_own_tests_say() -> None:
    promtool = prometheus.program("promtool")
    for words in (("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")):
        run = subprocess.run(
            [promtool, *words], cwd=RULES, capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0, run.stdout + run.stderr
