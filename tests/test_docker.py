"""Dockerfile, compose and dashboards: parsed, and held against the code they deploy."""

import json
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from darling_service.cli.main import main
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

ROOT = Path(__file__).parent.parent
# By path: as a module, the folder's name would be that of the docker package.
SPEC = spec_from_file_location("rehearse", ROOT / "docker/rehearse.py")
assert SPEC is not None
assert SPEC.loader is not None
rehearse = module_from_spec(SPEC)
sys.modules["rehearse"] = rehearse
SPEC.loader.exec_module(rehearse)
STAGES = rehearse.read_dockerfile(ROOT / "Dockerfile")
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())


def test_stages_and_targets() -> None:
    assert {"build", "runtime", "cuda", "cpu"} == set(STAGES)
    assert STAGES["cuda"].base == STAGES["cpu"].base == "runtime"
    assert list(STAGES)[-1] == "cpu", "a plain docker build makes the CPU image"


def test_the_image_runs_as_its_own_user_with_a_healthcheck() -> None:
    runtime = STAGES["runtime"]
    assert runtime.all("USER") == ["darling"]
    assert "/health/ready" in runtime.all("HEALTHCHECK")[0]
    names = [name for name, _ in runtime.lines]
    assert names.index("USER") < names.index("CMD")


def test_copied_files_exist_and_pass_the_dockerignore() -> None:
    allowed = (ROOT / ".dockerignore").read_text()
    for line in STAGES["build"].all("COPY"):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists()
            assert f"!{source}" in allowed


def test_every_darling_variable_is_a_setting() -> None:
    known = {f"DARLING_{name.upper()}" for name in Settings.model_fields}
    given = {
        n for stage in STAGES.values() for n in rehearse.environment(stage, {}) if "DARLING" in n
    }
    given |= set(COMPOSE["services"]["service"]["environment"])
    assert given <= known


def test_the_command_exists() -> None:
    program, command = json.loads(STAGES["runtime"].all("CMD")[0])
    assert program == "darling-reward"
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0


def test_compose_wires_service_prometheus_and_grafana() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"service", "prometheus", "grafana"}
    assert services["service"]["build"]["target"] in STAGES
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / "docker" / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]
    scraped = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yaml").read_text())
    targets = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == ["service:8000"]


def test_grafana_is_provisioned_and_asks_for_metrics_that_exist() -> None:
    folder = ROOT / "docker/grafana"
    source = yaml.safe_load((folder / "provisioning/datasources/prometheus.yaml").read_text())
    provider = yaml.safe_load((folder / "provisioning/dashboards/darling.yaml").read_text())
    mounted = [v.split(":")[1] for v in COMPOSE["services"]["grafana"]["volumes"]]
    assert provider["providers"][0]["options"]["path"] in mounted
    uid = source["datasources"][0]["uid"]
    dashboard = json.loads((folder / "dashboards/darling-reward.json").read_text())
    telemetry = Telemetry()
    telemetry.observe_cache(lambda: 0)
    families = text_string_to_metric_families(telemetry.exposition().decode())
    known = {family.name for family in families}
    asked = set()
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == uid
        for target in panel["targets"]:
            asked |= set(re.findall(r"darling_\w+", target["expr"]))
    bare = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    assert bare <= known | {re.sub(r"_total$", "", name) for name in known}
    assert {re.sub(r"_total$", "", n) for n in known} == bare, "every metric has a panel"
