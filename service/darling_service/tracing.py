"""OpenTelemetry spans of what answers a request, where `traces_url` names a collector.

Needs the extra `otel`, of which nothing is imported otherwise. A span holds times, the route, the
status and the request's id, and no texts. Sampling and the like are set by the variables `OTEL_*`.

    POST /v1/rewards
    |-- read       the body: received, decompressed, parsed
    |-- queue      from the queue to the model, once a group
    |-- model      the batches in which the model reads the group's texts
    |-- compare    its pairs
    |-- reward     diversity, shaping, advantages of all groups
    `-- audit      later, where the request is scored again
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from darling_models.extras import require

FLUSH_S = 1.0
"""Seconds that the end of the process waits for a collector."""
NO_MESSAGES = {"record_exception": False, "set_status_on_exception": False}
"""Options of every span: the message of an exception may quote what a caller has sent."""

_provider: Any = None
_tracer: Any = None
"""What makes spans; None if nobody wants them."""


def start(url: str) -> None:
    """Sends spans to this URL from now on, in the background. Raises `ModelError` if the extra is
    not installed."""
    require("otel", ["opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"])
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "darling-reward"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    use(provider)


def use(provider: Any) -> None:
    """Makes the spans of an OpenTelemetry `TracerProvider`'s from now on; None ends them."""
    global _provider, _tracer
    _provider = provider
    _tracer = None if provider is None else provider.get_tracer("darling_service")


def flush() -> None:
    """Sends the spans that wait to be sent; gives up after `FLUSH_S` seconds."""
    if _provider is not None:
        _provider.force_flush(round(1000 * FLUSH_S))


def on() -> bool:
    return _tracer is not None


@contextmanager
def request_span(headers: Mapping[str, str]) -> Iterator[Any]:
    """A request's span, in the trace that its headers name; None if there is none."""
    if _tracer is None:
        yield None
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    # The names of headers are in lower case, as `extract` looks for them.
    with _tracer.start_as_current_span(
        "request", context=extract(headers), kind=SpanKind.SERVER, **NO_MESSAGES
    ) as own:
        yield own


def describe(own: Any, method: str, route: str, status: int, request_id: str) -> None:
    """Gives a request's span its name, and what is known once it is answered."""
    if own is None:
        return
    from opentelemetry.trace import StatusCode

    own.update_name(f"{method} {route}")
    own.set_attribute("http.request.method", method)
    own.set_attribute("http.route", route)
    own.set_attribute("http.response.status_code", status)
    own.set_attribute("darling.request_id", request_id)
    if status >= 500:
        own.set_status(StatusCode.ERROR)


@contextmanager
def span(name: str) -> Iterator[None]:
    """A span around a block of code of the current request."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, **NO_MESSAGES):
        yield


def record(name: str, started_ns: int, ended_ns: int) -> None:
    """A span that is over already. Times are in nanoseconds since the epoch."""
    if _tracer is not None:
        _tracer.start_span(name, start_time=started_ns).end(end_time=ended_ns)
