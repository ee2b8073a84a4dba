"""What the environment of a service may hold: leftovers of other tools, and Kubernetes' own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from darling_models.errors import ModelError
from darling_models.registry import load
from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.service_links import is_service_link
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry
from tests.conftest import running

LINKS = {
    "DARLING_PORT": "tcp://10.0.0.1:8000",
    "DARLING_SERVICE_HOST": "10.0.0.1",
    "DARLING_SERVICE_PORT": "8000",
    "DARLING_SERVICE_PORT_HTTP": "8000",
    "DARLING_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "DARLING_PORT_8000_TCP_PROTO": "tcp",
    "DARLING_PORT_8000_TCP_PORT": "8000",
    "DARLING_PORT_8000_TCP_ADDR": "10.0.0.1",
    "DARLING_PORT_53_UDP": "udp://10.0.0.1:53",
    "DARLING_REWARD_PORT": "tcp://10.0.0.1:80",
    "DARLING_REWARD_SERVICE_HOST": "10.0.0.1",
}
"""What Kubernetes sets for Services named `darling` and `darling-reward`."""
OWN = {
    "DARLING_PORT": "8001",
    "DARLING_HOST": "tcp.example",
    "DARLING_API_KEY": "tcp://x",
    "DARLING_COHORT_SIZE": "8",
    "DARLING_REPORT": "tcp://x",
}


@pytest.mark.parametrize("name", LINKS)
def test_what_kubernetes_sets_is_known(name: str) -> None:
    assert is_service_link(name, LINKS[name])


@pytest.mark.parametrize("name", OWN)
def test_what_somebody_sets_is_not_taken_for_it(name: str) -> None:
    assert not is_service_link(name, OWN[name])


@pytest.mark.parametrize("scheme", ["tcp", "TCP", "udp", "sctp"])
def test_settings_ignore_it(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    for name, value in LINKS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DARLING_PORT", f"{scheme}://10.0.0.1:8000")
    assert Settings().port == 8000
    assert Settings(port=9).port == 9
    monkeypatch.setenv("DARLING_PORT", "8001")
    assert Settings().port == 8001


def test_a_flag_that_is_no_port_is_refused_all_the_same() -> None:
    with pytest.raises(ValueError, match="port"):
        Settings(port="tcp://10.0.0.1:8000")


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "darling_service.cli", "serve", "--port", "0", *arguments]
    kept = {name: value for name, value in os.environ.items() if "PROMETHEUS" not in name}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**kept, **environment}
    )


def test_a_service_named_darling_starts_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "log", "--model", "exact", environment=LINKS) as service:
        assert httpx.get(f"{service.url}/health/ready").status_code == 200
    said = service.log.read_text()
    assert "DARLING_PORT is tcp://10.0.0.1:8000, which Kubernetes sets" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
@pytest.mark.parametrize("kind", ["missing", "file", "inside a file", "empty"])
def test_a_folder_of_metrics_that_is_none_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, kind: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    value = {"missing": tmp_path / "none", "file": file, "inside a file": file / "x", "empty": ""}
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.setenv(name, str(value[kind]))
    with pytest.raises(ValueError, match=rf"^the environment variable {name} is .*unset it"):
        Telemetry()


def test_serve_ends_with_that_line(tmp_path: Path) -> None:
    run = serve("--model", "exact", PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "none"))
    assert run.returncode == 2
    assert len(run.stderr.strip().splitlines()) == 1
    assert "PROMETHEUS_MULTIPROC_DIR" in run.stderr


@pytest.mark.parametrize("device", ["cuda", "cuda:99", "gpu", "", "cuda:x"])
@pytest.mark.parametrize("model", ["embedded", "embeddings"])
def test_a_device_that_is_not_there_is_said(device: str, model: str) -> None:
    import torch

    from darling_models.options import ModelOptions

    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has it")
    with pytest.raises(ModelError, match=rf"^the setting device is '{device}'"):
        load(model, ModelOptions(device=device))


def test_a_judge_that_is_down_is_said_without_a_traceback() -> None:
    run = serve("--model", "judge:m@http://127.0.0.1:9/v1")
    assert run.returncode == 2
    assert "does not answer a first question: no host of the model could answer" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.fixture(scope="module")
def http() -> Any:
    with TestClient(create_app(Service(Settings(model="exact", api_key="secret")))) as client:
        client.headers["authorization"] = "Bearer secret"
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


@pytest.mark.parametrize(
    "path",
    ["/health/live", "/health/ready", "/v1/models", "/metrics", "/openapi.json", "/docs", "/none"],
)
def test_head_is_get_without_the_body(http: TestClient, path: str) -> None:
    got, head = http.get(path), http.head(path)
    assert head.status_code == got.status_code == (404 if path == "/none" else 200)
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":  # which has counted the request before
        assert head.headers["content-length"] == got.headers["content-length"]


def test_head_needs_the_key_and_is_counted_under_its_route(http: TestClient) -> None:
    assert http.head("/v1/models", headers={"authorization": ""}).status_code == 401
    assert http.head("/health/live", headers={"authorization": ""}).status_code == 200
    assert http.head("/v1/rewards").status_code == 405
    counted = http.get("/metrics").text
    assert 'darling_requests_total{route="/health/live",status="200"}' in counted


@pytest.mark.parametrize(
    ("method", "path", "methods"),
    [
        ("GET", "/v1/rewards", "POST"),
        ("DELETE", "/v1/models", "GET"),
        ("PUT", "/v1/review/marks", "GET, POST"),  # two routes of one path
        ("OPTIONS", "/v1/review/marks", "GET, POST"),
    ],
)
def test_a_wrong_method_is_told_all_methods_of_the_path(
    http: TestClient, method: str, path: str, methods: str
) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == methods
    assert answer.json()["detail"] == f"{path} does not answer {method}; see /docs"


@pytest.mark.parametrize(
    "header",
    [
        *("Basic é", "Basic \x80", "Basic ====", "Basic", "Basic a", "Basic  ", "basic é"),
        *("Bearer é", "Bearer \xff", "Bearer", "é", "Basic c2VjcmV0", "Digest é"),
    ],
)
def test_a_header_that_is_no_key_is_a_401(http: TestClient, header: str) -> None:
    for path in ("/v1/models", "/metrics", "/none"):
        answer = http.get(path, headers={b"authorization": header.encode("latin-1")})
        assert answer.status_code == 401, header


@pytest.mark.parametrize("name", ["content-type", "content-encoding", "accept", "x-odd"])
def test_other_odd_headers_break_nothing(http: TestClient, name: str) -> None:
    for value in (b"\xc3\xa9", b"\xff", b"application/json; charset=\xe9"):
        answer = http.post("/v1/partitions", content=b"{}", headers={name.encode(): value})
        assert answer.status_code in (415, 422)
