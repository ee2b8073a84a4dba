"""The Serve config file and KubeRay's manifest, held against the application and Ray's schema."""

from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("ray", reason="Ray is not installed; make test-ray installs it")

import ray
from ray.serve.schema import ServeDeploySchema

from darling_service.cluster.application import build
from darling_service.cluster.serve_config import main

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "docker/kuberay/rayservice.yaml"
FLAGS = ["--host", "0.0.0.0", "--ingress-replicas", "2", "--workers", "4"]


def printed(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    assert main(flags) == 0
    config: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return config


def test_the_config_file_is_one_of_ray_serve_and_builds_the_application(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = printed(capsys, *FLAGS)
    (declared,) = ServeDeploySchema.model_validate(config).applications
    assert declared.import_path == f"{build.__module__}:{build.__name__}"
    with pytest.raises(ValueError, match="no API key is set"):
        build(declared.args)
    assert build({**declared.args, "allow_no_key": True})._bound_deployment.name == "ingress"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DARLING_API_KEY", "do not tell"),
        ("DARLING_HISTORY_URL", "postgresql://me:do not tell@store/history"),
        ("DARLING_CACHE_URL", "redis://cache/0?password=do not tell"),
    ],
)
def test_a_secret_does_not_get_into_the_config_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert main(FLAGS) == 2
    said = capsys.readouterr()
    assert name in said.err
    assert "do not tell" not in said.out + said.err


def test_a_url_without_a_password_gets_into_the_config_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = printed(capsys, *FLAGS, "--history-url", "sqlite:////shared/history.db")
    assert config["applications"][0]["args"]["history_url"] == "sqlite:////shared/history.db"


def test_the_manifest_serves_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = yaml.safe_load(MANIFEST.read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayService")
    assert yaml.safe_load(manifest["spec"]["serveConfigV2"]) == printed(capsys, *FLAGS)


def test_the_manifests_cluster_holds_the_replicas_and_their_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = yaml.safe_load(MANIFEST.read_text())["spec"]["rayClusterConfig"]
    assert cluster["rayVersion"] == ray.__version__
    assert f"ray:{ray.__version__}-" in (MANIFEST.parent / "Dockerfile").read_text()
    (workers,) = cluster["workerGroupSpecs"]
    cpus = 0
    for spec in (cluster["headGroupSpec"], workers):
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        variables = {variable["name"]: variable["value"] for variable in container["env"]}
        keys = Path(variables["DARLING_API_KEYS_FILE"])
        assert any(keys.is_relative_to(m["mountPath"]) for m in container["volumeMounts"])
        if spec is workers:
            cpus = spec["replicas"] * int(container["resources"]["limits"]["cpu"])
    args = printed(capsys, *FLAGS)["applications"][0]["args"]
    assert args["workers"] * 1 + (args["ingress_replicas"] + 1) * 0.5 <= cpus
