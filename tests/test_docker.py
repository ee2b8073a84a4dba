"""Dockerfile, compose and dashboards: parsed, and held against the code they deploy."""

import json
import re
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from darling_service.cli.main import main
from darling_service.history.store import Store
from darling_service.key_sources import refuse_strangers_without_key
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
KEYED = yaml.safe_load((ROOT / "docker/compose.key.yaml").read_text())
REPLICAS = ("replica-1", "replica-2", "replica-3")
OF_THE_SERVICE = ("service", "gpu", *REPLICAS)
"""Containers that run the service."""


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


def test_the_image_lists_its_packages_once_all_are_there() -> None:
    steps = [line for name, line in STAGES["build"].lines if name == "RUN"]
    (listing,) = (line for line in steps if "cyclonedx-py" in line)
    assert listing == steps[-1], "after whatever installs or removes a package"
    assert "--output-file /opt/darling/" in listing, "a folder that the image takes over"
    constraints = (ROOT / "constraints.txt").read_text()
    for tool in ("cyclonedx-bom", "pip-audit"):
        assert re.search(rf"^{tool}==", constraints, re.M), tool


def test_every_darling_variable_is_a_setting() -> None:
    known = {f"DARLING_{name.upper()}" for name in Settings.model_fields}
    given = {
        n for stage in STAGES.values() for n in rehearse.environment(stage, {}) if "DARLING" in n
    }
    for compose in (COMPOSE, KEYED):
        for name in OF_THE_SERVICE:
            given |= set(compose["services"][name]["environment"])
    assert given <= known


def test_the_command_exists() -> None:
    program, command = json.loads(STAGES["runtime"].all("CMD")[0])
    assert program == "darling-reward"
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0


def profile(name: str) -> set[str]:
    """The containers that `--profile` starts."""
    return {key for key, one in COMPOSE["services"].items() if name in one["profiles"]}


def test_every_profile_has_its_containers() -> None:
    assert profile("cpu") == {"service"}
    assert profile("gpu") == {"gpu"}
    assert profile("scale") == {"proxy", *REPLICAS}
    assert profile("redis") == {"redis"}
    assert profile("monitoring") == {"prometheus", "grafana"}
    assert sum(len(one["profiles"]) for one in COMPOSE["services"].values()) == 9


def test_without_a_profile_compose_starts_the_service_and_its_monitoring() -> None:
    lines = (ROOT / "docker/.env").read_text().splitlines()
    (default,) = [line for line in lines if line.startswith("COMPOSE_PROFILES=")]
    started = set[str]().union(*map(profile, default.partition("=")[2].split(",")))
    assert started == {"service", "prometheus", "grafana"}


def test_each_profile_publishes_one_service_on_this_machine() -> None:
    services = COMPOSE["services"]
    for name in ("cpu", "gpu", "scale"):
        ports = [services[one].get("ports") for one in profile(name)]
        assert [port for port in ports if port] == [["127.0.0.1:8000:8000"]]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_targets_and_images_of_cpu_and_gpu() -> None:
    services = COMPOSE["services"]
    assert services["service"]["build"]["target"] == "cpu"
    assert services["gpu"]["build"]["target"] == "cuda"
    assert {"cpu", "cuda"} <= set(STAGES)
    assert services["gpu"]["build"]["args"] == services["service"]["build"]["args"]
    assert services["gpu"]["image"] != services["service"]["image"]
    (device,) = services["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "DARLING_DEVICE=cuda" in STAGES["cuda"].all("ENV")[0]


def test_the_proxy_knows_the_replicas_and_has_its_files() -> None:
    proxy = COMPOSE["services"]["proxy"]
    servers = re.findall(r"^server (\S+) ", (ROOT / "docker/nginx/replicas.conf").read_text(), re.M)
    assert servers == [f"{name}:8000" for name in REPLICAS]
    assert proxy["depends_on"] == list(REPLICAS), "their names are looked up at its start"
    mounts = dict(volume.split(":")[1::-1] for volume in proxy["volumes"])
    configuration = mounts[proxy["command"][proxy["command"].index("-c") + 1]]
    assert configuration == "./nginx/nginx.conf"
    assert mounts["/etc/nginx/replicas.conf"] == "./nginx/replicas.conf", "include looks beside it"
    folder = proxy["command"][proxy["command"].index("-p") + 1]
    assert folder.rstrip("/") in proxy["tmpfs"]


def test_replicas_share_no_file() -> None:
    """SQLite in one volume would have three writers; the variable names a PostgreSQL."""
    for name in REPLICAS:
        replica = COMPOSE["services"][name]
        assert replica["environment"]["DARLING_HISTORY_URL"] == "${SHARED_HISTORY_URL-}"
        assert all(volume.endswith(":ro") for volume in replica["volumes"])


def test_the_shared_cache_is_where_the_file_says() -> None:
    said = re.search(r"(redis://\S+)", (ROOT / "docker/compose.yaml").read_text())
    assert said is not None
    assert Settings(cache_url=said[1]).cache_url == "redis://redis:6379/0"
    assert profile("redis") == {"redis"}


def test_volumes_exist_and_prometheus_scrapes_every_replica() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / "docker" / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]
    scraped = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yaml").read_text())
    (names,) = scraped["scrape_configs"][0]["dns_sd_configs"]
    assert (names["names"], names["type"], names["port"]) == (["service"], "A", 8000)
    for name in OF_THE_SERVICE:
        assert services[name]["networks"]["default"]["aliases"] == ["service"]


def test_the_history_is_in_a_volume_that_the_service_may_write_to() -> None:
    service = COMPOSE["services"]["service"]
    choice = service["environment"]["DARLING_HISTORY_URL"]
    default = re.fullmatch(r"\$\{DARLING_HISTORY_URL-(.*)\}", choice)
    assert default is not None, "an empty variable turns it off; a colon would take the default"
    assert Settings(history_url=default[1]).history_url == default[1]
    file = Store(default[1]).file
    assert file is not None
    mounts = dict(volume.split(":")[1::-1] for volume in service["volumes"])
    volume = mounts[str(file.parent)]
    assert volume in COMPOSE["volumes"]
    assert service["read_only"], "anything but a volume would not be kept"
    # An empty volume takes owner and mode of the folder that it is mounted over.
    (made,) = [line for line in STAGES["runtime"].all("RUN") if str(file.parent) in line]
    (user,) = STAGES["runtime"].all("USER")
    assert f"--owner {user} " in made


@pytest.mark.parametrize(
    ("value", "kept"), [("", None), ("sqlite:////a/b.db", "sqlite:////a/b.db")]
)
def test_an_empty_history_url_keeps_no_history(
    monkeypatch: pytest.MonkeyPatch, value: str, kept: str | None
) -> None:
    monkeypatch.setenv("DARLING_HISTORY_URL", value)
    assert Settings().history_url == kept


def test_with_a_key_the_service_and_prometheus_read_one_file() -> None:
    services = KEYED["services"]
    assert set(services) == {*OF_THE_SERVICE, "prometheus"}
    (secret,) = KEYED["secrets"]
    assert all(service["secrets"] == [secret] for service in services.values())
    inside = f"/run/secrets/{secret}"
    environment = {"DARLING_API_KEY_FILE": inside, "DARLING_ALLOW_NO_KEY": "false"}
    assert [services[name]["environment"] for name in OF_THE_SERVICE] == [environment] * 5
    (mounted,) = services["prometheus"]["volumes"]
    source, target, _ = mounted.split(":")
    assert target in [v.split(":")[1] for v in COMPOSE["services"]["prometheus"]["volumes"]]
    scraped = yaml.safe_load((ROOT / "docker" / source).read_text())
    (job,) = scraped["scrape_configs"]
    assert job.pop("authorization") == {"credentials_file": inside}
    plain = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yaml").read_text())
    assert scraped == plain, "with a key nothing else is scraped"


def test_the_image_asks_for_a_key_and_compose_lets_this_machine_in_without() -> None:
    """Compose publishes its port on 127.0.0.1 only."""
    variables = rehearse.environment(STAGES["runtime"], {})
    settings = {name.removeprefix("DARLING_").lower(): value for name, value in variables.items()}
    assert "allow_no_key" not in settings
    with pytest.raises(ValueError, match="no API key is set"):
        refuse_strangers_without_key(settings["host"], [], allow_no_key=False)
    for name in OF_THE_SERVICE:
        assert COMPOSE["services"][name]["environment"]["DARLING_ALLOW_NO_KEY"] == "true"


def test_a_key_in_a_file_is_the_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("s3cret\n")
    assert Settings(api_key_file=file).keys() == Settings(api_key="s3cret").keys()
    assert Settings().keys() == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"", "empty"), (b" \n", "empty"), (b"\xff", "cannot be read")],
)
def test_a_file_without_a_key_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    assert main(["serve", "--api-key-file", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"--api-key-file (DARLING_API_KEY_FILE) is {str(file)!r}: the file" in said
    assert message in said


def test_a_key_and_a_file_of_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a")
    with pytest.raises(ValueError, match="api_key is set too"):
        Settings(api_key="a", api_key_file=tmp_path / "key")


def test_images_have_a_version_and_can_be_replaced_by_a_digest() -> None:
    assert STAGES["build"].base == STAGES["runtime"].base == "${PYTHON_IMAGE}"
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert default is not None
    text = (ROOT / "docker/compose.yaml").read_text()
    images = dict(re.findall(r"\$\{(\w+_IMAGE):-(\S+)\}", text))
    others = {"NGINX_IMAGE", "REDIS_IMAGE", "PROMETHEUS_IMAGE", "GRAFANA_IMAGE"}
    assert set(images) == {"PYTHON_IMAGE", *others}
    assert images["PYTHON_IMAGE"] == default[1], "both name the same base"
    for image in images.values():
        assert re.fullmatch(r"[\w/]+:v?\d[\w.-]*", image), image


def test_build_arguments_of_compose_are_those_of_the_dockerfile() -> None:
    declared = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.M)
    assert set(COMPOSE["services"]["service"]["build"]["args"]) == set(declared)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = rehearse.arguments(STAGES["build"])["EXTRAS"].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    assert (
        f"${{EXTRAS:-{','.join(extras)}}}"
        == COMPOSE["services"]["service"]["build"]["args"]["EXTRAS"]
    )


def test_grafana_is_provisioned_and_asks_for_metrics_that_exist() -> None:
    folder = ROOT / "docker/grafana"
    source = yaml.safe_load((folder / "provisioning/datasources/prometheus.yaml").read_text())
    provider = yaml.safe_load((folder / "provisioning/dashboards/darling.yaml").read_text())
    mounted = [v.split(":")[1] for v in COMPOSE["services"]["grafana"]["volumes"]]
    assert provider["providers"][0]["options"]["path"] in mounted
    uid = source["datasources"][0]["uid"]
    dashboards = [json.loads(file.read_text()) for file in (folder / "dashboards").glob("*.json")]
    assert len({dashboard["uid"] for dashboard in dashboards}) == len(dashboards) == 2
    telemetry = Telemetry()
    telemetry.observe_cache(lambda: 0)
    families = text_string_to_metric_families(telemetry.exposition().decode())
    known = {family.name for family in families}
    asked = set()
    for panel in [panel for dashboard in dashboards for panel in dashboard["panels"]]:
        assert panel["datasource"]["uid"] == uid
        for target in panel["targets"]:
            asked |= set(re.findall(r"darling_\w+", target["expr"]))
    bare = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    assert bare <= known | {re.sub(r"_total$", "", name) for name in known}
    assert {re.sub(r"_total$", "", n) for n in known} == bare, "every metric has a panel"
