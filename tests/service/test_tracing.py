"""Spans of requests: which there are, how they nest, and that nothing is imported without them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from darling_models import extras
from darling_models.errors import ModelError
from darling_service import tracing
from darling_service.app import create_app
from darling_service.http.examples import EQUIVALENCE_REQUESTS, ROLLOUT_REQUESTS
from darling_service.http.state import Service
from darling_service.settings import Settings

GROUP = {"prompt": "Name a xyzzy.", "rollouts": ["plugh", "Kyoto"], "quality": [0.9, 0.7]}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)


@pytest.fixture(scope="module")
def http() -> Iterator[TestClient]:
    with TestClient(create_app(Service(Settings(cohort_deadline_s=0.05)))) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


def test_a_request_is_a_span_with_its_parts(http: TestClient, spans: InMemorySpanExporter) -> None:
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-ID": "step-3"}
    assert http.post("/v1/rewards", json={"groups": [GROUP]}, headers=headers).status_code == 200
    *parts, request = spans.get_finished_spans()
    assert [part.name for part in parts] == ["read", "queue", "model", "compare", "reward"]
    assert request.name == "POST /v1/rewards"
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/rewards",
        "http.response.status_code": 200,
        "darling.request_id": "step-3",
    }
    assert request.context.trace_id == int(TRACE, 16)
    for part in parts:
        assert part.parent is not None
        assert part.parent.span_id == request.context.span_id
        assert times(request)[0] <= times(part)[0] <= times(part)[1] <= times(request)[1]
    queue, model = parts[1:3]
    assert times(queue)[1] == times(model)[0]


def times(span: ReadableSpan) -> tuple[int, int]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


def test_other_routes_have_what_they_do(http: TestClient, spans: InMemorySpanExporter) -> None:
    http.post("/v1/equivalence", json=next(iter(EQUIVALENCE_REQUESTS.values())))
    http.post("/v1/rollouts", json=next(iter(ROLLOUT_REQUESTS.values())))
    http.get("/v1/models")
    names = [span.name for span in spans.get_finished_spans()]
    for route in ("POST /v1/equivalence", "POST /v1/rollouts", "GET /v1/models"):
        assert names.count(route) == 1
    assert names.count("read") == 2


def test_a_refusal_and_a_failure_hold_no_text(
    http: TestClient, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    http.post("/v1/rewards", json={"groups": [{**GROUP, "plugh": 1}]})
    http.post("/plugh")
    engine = http.app.state.service.pipeline._engines.get(None)  # type: ignore[attr-defined]

    def broken(*_: object) -> None:
        raise RuntimeError("xyzzy")

    monkeypatch.setattr(engine.classifier, "run", broken)
    other = {**GROUP, "rollouts": ["plugh plugh", "xyzzy"]}
    assert http.post("/v1/rewards", json={"groups": [other]}).status_code == 503
    said = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "plugh" not in said
    assert "xyzzy" not in said
    failed = spans.get_finished_spans()[-1]
    assert not failed.status.is_ok


def test_an_unexpected_fault_leaves_no_message_in_its_span(
    http: TestClient, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("xyzzy")

    monkeypatch.setattr(http.app.state.service.pipeline, "rewards", broken)  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="xyzzy"):
        http.post("/v1/rewards", json={"groups": [GROUP]})
    request = spans.get_finished_spans()[-1]
    assert not request.status.is_ok
    assert "xyzzy" not in request.to_json()


def test_without_a_url_nothing_of_it_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys, darling_service.server, darling_service.cli.serve; "
        "print([m for m in sys.modules if m.startswith('opentelemetry.sdk') "
        "or m.startswith('opentelemetry.exporter')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert run.stdout.strip() == "[]"


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_is_installed", lambda module: False)
    with pytest.raises(ModelError, match=r"pip install '.\[otel\]'"):
        tracing.start("http://127.0.0.1:9/v1/traces")


def test_a_part_of_a_package_that_is_not_there_is_not_installed() -> None:
    assert not extras._is_installed("no_such_package.part")
