"""The Helm chart: rendered by the real helm, held against Kubernetes' schemas and this code."""

import json
import subprocess
import tarfile
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from darling_service import __version__
from darling_service.http.auth import is_open
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry
from tests.deployment.kubernetes import (
    CHART,
    CUSTOM,
    KEY,
    Manifest,
    faults,
    helm,
    of_kind,
    refusal,
    rendered,
)
from tests.deployment.tools import HELM, ROOT
from tests.servers.nginx import FOLDER, proxy
from tests.servers.scripted import Reply, scripted

NAME = "reward-darling-reward"
GPU = CHART / "values-gpu.yaml"
MONITORED: dict[str, Any] = {
    "networkPolicy": {"metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "watch"}}}]},
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "rules": {"enabled": True},
        "dashboards": {"enabled": True},
    },
}
CASES: dict[str, dict[str, Any]] = {
    "a key": KEY,
    "no key": {"allowNoKey": True},
    "one replica without a proxy": {**KEY, "replicas": 1, "proxy": {"enabled": False}},
    "named keys": {"apiKey": {"secret": "keys", "item": "lines", "named": True}},
    "a GPU": {**KEY, **yaml.safe_load(GPU.read_text())},
    "autoscaling": {**KEY, "autoscaling": {"enabled": True, "maxReplicas": 5}},
    "monitoring": {**KEY, **MONITORED},
    "settings": {
        **KEY,
        "settings": {"model": "judge:m@http://llm/v1", "max_body_bytes": 134217728},
        "secretSettings": {"judge_api_key": {"secret": "llm", "item": "key"}},
    },
    "everything": {
        **KEY,
        **MONITORED,
        "networkPolicy": {
            "from": [{"namespaceSelector": {}}],
            "metricsFrom": [{"namespaceSelector": {}}],
            "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
        },
        "imagePullSecrets": [{"name": "pull"}],
        "persistence": {"enabled": True, "storageClass": "fast"},
        "volumes": [{"name": "own", "persistentVolumeClaim": {"claimName": "own"}}],
        "volumeMounts": [{"name": "own", "mountPath": "/classifiers", "readOnly": True}],
        "podLabels": {"team": "rl"},
        "podAnnotations": {"note": "yes"},
        "nodeSelector": {"kind": "cpu"},
        "affinity": {"podAntiAffinity": {}},
        "runtimeClassName": "nvidia",
        "service": {"type": "LoadBalancer", "port": 80, "annotations": {"internal": "true"}},
    },
}
RELEASES = ("1.25.0", "1.31.0", "1.37.0")
"""Of Kubernetes: the oldest that Chart.yaml allows, one between, and the latest of the schemas."""
EVERY = pytest.mark.parametrize("values", CASES.values(), ids=CASES)


@EVERY
def test_every_manifest_is_what_kubernetes_expects(values: dict[str, Any]) -> None:
    manifests = [one for one in rendered(values) if one["kind"] not in CUSTOM]
    assert len(manifests) >= 5
    found = (faults(one, release) for one in manifests for release in RELEASES)
    assert list(chain.from_iterable(found)) == []


def test_a_manifest_that_is_wrong_has_a_fault() -> None:
    (replicas,) = of_kind(rendered(), "StatefulSet").values()
    replicas["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "Always"
    (fault,) = faults(replicas, "1.37.0")
    assert "imagePullPolicies" in fault


@EVERY
def test_helm_finds_nothing_to_mend(values: dict[str, Any]) -> None:
    run = helm("lint", CHART, "--strict", values=values)
    assert run.returncode == 0, run.stdout
    assert "0 chart(s) failed" in run.stdout


@EVERY
def test_selectors_find_the_pods_that_they_mean(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    pods = {
        one["metadata"]["labels"]["app.kubernetes.io/component"]: one["spec"]["template"]
        for one in manifests
        if one["kind"] in ("StatefulSet", "Deployment")
    }
    assert set(pods) == {"replica", *(["proxy"] if _has_proxy(values) else [])}
    for one in manifests:
        spec = one.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector")
        if selector is None or one["kind"] == "ServiceMonitor":
            continue
        wanted = dict(selector.get("matchLabels", selector))
        pod = wanted.pop("statefulset.kubernetes.io/pod-name", f"{NAME}-0")
        assert pod.startswith(f"{NAME}-")
        found = [name for name, pod in pods.items() if _matches(wanted, pod)]
        component = one["metadata"]["labels"]["app.kubernetes.io/component"]
        meant = {"address": "replica", "entrance": "proxy" if "proxy" in pods else "replica"}
        assert found == [meant.get(component, component)], one["metadata"]["name"]


def _has_proxy(values: dict[str, Any]) -> bool:
    return bool(values.get("proxy", {}).get("enabled", True))


def _matches(labels: dict[str, str], pod: Manifest) -> bool:
    own: dict[str, str] = pod["metadata"]["labels"]
    return labels.items() <= own.items()


def container(manifests: list[Manifest]) -> Manifest:
    (replicas,) = of_kind(manifests, "StatefulSet").values()
    (only,) = replicas["spec"]["template"]["spec"]["containers"]
    result: Manifest = only
    return result


def test_settings_reach_the_service_as_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {
        **{"model": "exact", "max_body_bytes": 134217728, "threshold": 0.4, "audit_share": 0},
        **{"log_texts": True, "judge_parameters": '{"max_tokens": 4096}', "cohort_size": None},
    }
    for variable in container(rendered({"allowNoKey": True, "settings": given}))["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    assert Settings() == Settings(**{**given, "allow_no_key": True})


def test_settings_of_the_schema_are_those_of_the_service() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    plain, secret = (schema[name]["properties"] for name in ("settings", "secretSettings"))
    by_the_chart = {"host", "port", "allow_no_key"}
    by_the_chart |= {f"api_key{more}" for more in ("", "_file", "s", "s_file")}
    of_ray = {"engine", "ray_address", "ingress_replicas", "ingress_cpus", "worker_cpus"}
    of_ray |= {"worker_gpus"}  # docker/kuberay has that engine
    assert set(plain) | set(secret) | by_the_chart | of_ray == set(Settings.model_fields)
    assert not (by_the_chart | of_ray) & (set(plain) | set(secret))
    assert "judge_api_key" not in plain, "a secret"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "apiKey.secret is empty"),
        ({**KEY, "allowNoKey": True}, "both set; choose one"),
        ({**KEY, "settings": {"modell": "exact"}}, "'modell' not allowed"),
        ({**KEY, "settings": {"judge_api_key": "s3cret"}}, "'judge_api_key' not allowed"),
        ({**KEY, "replica": 2}, "'replica' not allowed"),
        ({**KEY, "replicas": 0}, "minimum: got 0, want 1"),
        ({**KEY, "autoscaling": {"enabled": True, "maxReplicas": 2}}, "maxReplicas is below"),
        ({**KEY, "settings": {"history_url": "sqlite:////var/h.db"}}, "each replica would have"),
        ({**KEY, "monitoring": {"serviceMonitor": {"enabled": True}}}, "metricsFrom is empty"),
        (
            {**MONITORED, "apiKey": {"secret": "keys", "named": True}},
            "serviceMonitor.key.secret is empty",
        ),
        (
            {
                **KEY,
                "settings": {"cache_url": "redis://a"},
                "secretSettings": {"cache_url": {"secret": "a", "item": "b"}},
            },
            "cache_url is in settings and in secretSettings",
        ),
    ],
)
def test_wrong_values_are_named(values: dict[str, Any], said: str) -> None:
    assert said in refusal(values)


def test_keys_come_from_secrets_alone() -> None:
    manifests = rendered(CASES["settings"])
    only = container(manifests)
    variables = {one["name"]: one for one in only["env"]}
    source = variables["DARLING_JUDGE_API_KEY"]["valueFrom"]["secretKeyRef"]
    assert source == {"name": "llm", "key": "key"}
    mounts = {mount["name"]: mount["mountPath"] for mount in only["volumeMounts"]}
    assert variables["DARLING_API_KEY_FILE"]["value"] == f"{mounts['api-key']}/api-key"
    (replicas,) = of_kind(manifests, "StatefulSet").values()
    volumes = {one["name"]: one for one in replicas["spec"]["template"]["spec"]["volumes"]}
    assert volumes["api-key"]["secret"]["secretName"] == "darling-key"
    named = {one["name"] for one in container(rendered(CASES["named keys"]))["env"]}
    assert "DARLING_API_KEYS_FILE" in named
    assert "DARLING_API_KEY_FILE" not in named


def test_probes_ask_what_the_service_answers() -> None:
    only = container(rendered())
    paths = {name: only[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")}
    assert paths == {"liveness": "/health/live", "readiness": "/health/ready"}
    assert all(map(is_open, paths.values())), "a probe has no key"


def test_a_replica_has_the_time_that_its_stop_takes() -> None:
    for values, seconds in ((KEY, 18), ({**KEY, "settings": {"shutdown_grace_s": 60.5}}, 76)):
        (replicas,) = of_kind(rendered(values), "StatefulSet").values()
        assert replicas["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize(
    ("values", "places"),
    [(KEY, 3), (CASES["autoscaling"], 5), ({**KEY, "replicas": 7}, 7)],
    ids=["default", "as many as there may be", "more"],
)
def test_the_proxy_knows_an_address_of_every_replica(values: dict[str, Any], places: int) -> None:
    manifests = rendered(values)
    content = of_kind(manifests, "ConfigMap")[f"{NAME}-proxy"]["data"]
    names = [f"{NAME}-{place}" for place in range(places)]
    lines = [f"server {name}:8000 max_fails=0;" for name in names]
    assert content["replicas.conf"].splitlines() == lines
    services = of_kind(manifests, "Service")
    for name in names:
        assert services[name]["spec"]["ports"][0]["port"] == 8000
        assert services[name]["spec"]["selector"]["statefulset.kubernetes.io/pod-name"] == name
    (replicas,) = of_kind(manifests, "StatefulSet").values()
    assert replicas["spec"]["serviceName"] in services


def test_the_proxy_is_that_of_compose_and_runs(tmp_path: Path) -> None:
    """The very text of the ConfigMap in nginx, but for addresses."""
    content = of_kind(rendered(), "ConfigMap")[f"{NAME}-proxy"]["data"]
    plain = (FOLDER / "nginx.conf").read_text()
    bytes_of_limit = str(Settings().max_body_bytes)
    assert content["nginx.conf"] == plain.replace("body_size 64m", f"body_size {bytes_of_limit}")
    larger = of_kind(rendered(CASES["settings"]), "ConfigMap")[f"{NAME}-proxy"]["data"]
    assert "client_max_body_size 134217728;" in larger["nginx.conf"]
    with (
        scripted(lambda body: Reply(body={"sum": sum(body)})) as replica,
        proxy(
            [replica.url],
            tmp_path,
            configuration=content["nginx.conf"],
            servers=content["replicas.conf"],
        ) as front,
    ):
        assert httpx.post(f"{front.url}/v1/rollouts", json=[1, 2]).json() == {"sum": 3}
    (deployment,) = of_kind(rendered(), "Deployment").values()
    (nginx,) = deployment["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]["proxy"]
    assert nginx["command"] == compose["command"]
    assert nginx["image"] in compose["image"]
    mounted = {mount["mountPath"] for mount in nginx["volumeMounts"]}
    assert mounted == {"/tmp", *(volume.split(":")[1] for volume in compose["volumes"])}


def test_a_new_configuration_starts_new_proxies() -> None:
    def annotation(values: dict[str, Any]) -> Any:
        (proxies,) = of_kind(rendered(values), "Deployment").values()
        return proxies["spec"]["template"]["metadata"]["annotations"]

    assert annotation(KEY) == annotation({**KEY, "settings": {"model": "exact"}})
    assert annotation(KEY) != annotation({**KEY, "replicas": 4})


def test_pods_may_do_nothing_that_they_need_not() -> None:
    for kind in ("StatefulSet", "Deployment"):
        (one,) = of_kind(rendered(), kind).values()
        pod = one["spec"]["template"]["spec"]
        (only,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    user = f"--uid {pod_user(rendered())} "
    assert user in (ROOT / "Dockerfile").read_text()


def pod_user(manifests: list[Manifest]) -> int:
    (replicas,) = of_kind(manifests, "StatefulSet").values()
    return int(replicas["spec"]["template"]["spec"]["securityContext"]["runAsUser"])


def test_the_autoscaler_reads_a_metric_of_the_service() -> None:
    manifests = rendered(CASES["autoscaling"])
    (scaler,) = of_kind(manifests, "HorizontalPodAutoscaler").values()
    (metric,) = scaler["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert f"\n{name} ".encode() in Telemetry().exposition()
    assert metric["pods"]["target"]["averageValue"] == "100000"
    (replicas,) = of_kind(manifests, "StatefulSet").values()
    assert "replicas" not in replicas["spec"], "an upgrade would undo what was scaled"
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("StatefulSet", replicas["metadata"]["name"])


def test_the_replicas_are_reached_by_the_proxy_and_prometheus_alone() -> None:
    policies = of_kind(rendered(CASES["monitoring"]), "NetworkPolicy")
    (rule,) = policies[f"{NAME}-replica"]["spec"]["ingress"]
    proxies, prometheus = rule["from"]
    assert proxies["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "proxy"
    assert [prometheus] == MONITORED["networkPolicy"]["metricsFrom"]
    (entrance,) = policies[f"{NAME}-proxy"]["spec"]["ingress"]
    assert entrance["from"] == [{"podSelector": {}}], "the pods of its namespace"
    assert "Egress" not in policies[f"{NAME}-replica"]["spec"]["policyTypes"]
    closed = of_kind(rendered({**KEY, "networkPolicy": {"egress": []}}), "NetworkPolicy")
    spec = closed[f"{NAME}-replica"]["spec"]
    assert (spec["policyTypes"], spec["egress"]) == (["Ingress", "Egress"], [])
    alone = of_kind(rendered(CASES["one replica without a proxy"]), "NetworkPolicy")
    assert set(alone) == {f"{NAME}-replica"}
    assert alone[f"{NAME}-replica"]["spec"]["ingress"][0]["from"] == [{"podSelector": {}}]


def test_prometheus_and_grafana_get_what_docker_has() -> None:
    manifests = rendered(CASES["monitoring"])
    (monitor,) = of_kind(manifests, "ServiceMonitor").values()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["path"], endpoint["port"]) == ("/metrics", "http")
    assert endpoint["authorization"]["credentials"] == {"name": "darling-key", "key": "api-key"}
    labels = monitor["spec"]["selector"]["matchLabels"]
    scraped = [
        name
        for name, service in of_kind(manifests, "Service").items()
        if labels.items() <= service["metadata"]["labels"].items()
    ]
    assert scraped == [f"{NAME}-replicas"], "no replica twice"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (rules,) = of_kind(manifests, "PrometheusRule").values()
    assert rules["spec"] == yaml.safe_load((ROOT / "docker/prometheus/alerts.yaml").read_text())
    files = {one.name: one.read_text() for one in ROOT.glob("docker/grafana/dashboards/*.json")}
    assert of_kind(manifests, "ConfigMap")[f"{NAME}-dashboards"]["data"] == files


def test_a_package_holds_the_files_that_are_links_here(tmp_path: Path) -> None:
    assert (CHART / "files/nginx.conf").is_symlink()
    command = [str(HELM), "package", str(CHART), "--destination", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (file,) = tmp_path.glob("*.tgz")
    with tarfile.open(file) as archive:
        inside = archive.extractfile("darling-reward/files/nginx.conf")
        assert inside is not None
        assert inside.read().decode() == (FOLDER / "nginx.conf").read_text()
        assert "darling-reward/files/dashboards/darling-runs.json" in archive.getnames()


def test_the_chart_has_the_version_of_the_service() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__
