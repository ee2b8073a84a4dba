"""Prometheus metrics, in a registry of the app's own; `docs/operations.md` lists them all."""

import os
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from darling_service.errors import Refusal
from darling_service.history.figures import Figures
from darling_service.run_metrics import RunMetrics
from darling_service.schemas.responses import Usage

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of the buckets of durations: from a cached group (2 ms) to `request_timeout_s`."""

AUDIT_OUTCOMES = ("equal", "differing", "failed", "skipped")
HISTORY_OUTCOMES = ("recorded", "dropped")

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that has prometheus_client keep its values in files of a folder. Services of
several processes need that; it is often left over from one."""

# Creation times would double the number of series, and nothing reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Telemetry:
    """The metrics of one process."""

    def __init__(self) -> None:
        """Raises `ValueError` if the environment sends the metrics to a folder that is none."""
        _require_folder()
        self.registry = CollectorRegistry()
        r = self.registry
        self.requests = Counter(
            "darling_requests_total",
            "HTTP requests answered, by route and status.",
            ["route", "status"],
            registry=r,
        )
        self.seconds = Histogram(
            "darling_request_seconds",
            "Seconds from an HTTP request to its answer, by route.",
            ["route"],
            buckets=SECONDS,
            registry=r,
        )
        self.in_flight = Gauge(
            "darling_requests_in_flight", "HTTP requests being answered now.", registry=r
        )
        self.groups = Counter("darling_groups_total", "Groups partitioned.", registry=r)
        self.rollouts = Counter("darling_rollouts_total", "Rollouts in those groups.", registry=r)
        self.pairs = Counter(
            "darling_pairs_total",
            "Pairs by outcome: classified by the model, cached (answered from earlier results), or "
            "skipped (decided without the classifier).",
            ["outcome"],
            registry=r,
        )
        self.truncated = Counter(
            "darling_truncated_total",
            "Model inputs that were cut because they exceeded the model's window.",
            registry=r,
        )
        self.diversity = Histogram(
            "darling_group_diversity",
            "Mean diversity of each group, from 0 to 1.",
            buckets=[i / 10 for i in range(11)],
            registry=r,
        )
        self.classes = Histogram(
            "darling_group_classes",
            "Number of classes in each group.",
            buckets=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64),
            registry=r,
        )
        self.queue_tokens = Gauge(
            "darling_queue_tokens", "Tokens that wait for the model or are in it.", registry=r
        )
        self.models_without_packs = Gauge(
            "darling_models_without_packs",
            "Models whose matrix kernels round by batch on this machine: they compute every text "
            "by itself, slower.",
            registry=r,
        )
        self.refused = Counter(
            "darling_refused_total",
            "Requests refused with 429, by what they were over: queue, time (the answer would "
            "have come too late), bodies, cohorts, key (its limits) or server (a model server "
            "asks for a pause).",
            ["reason"],
            registry=r,
        )
        for reason in get_args(Refusal):
            self.refused.labels(reason)
        self.batch_tokens = Histogram(
            "darling_batch_tokens",
            "Number of tokens in each model batch.",
            buckets=[2**i for i in range(4, 17)],
            registry=r,
        )
        self.batch_seconds = Histogram(
            "darling_batch_seconds",
            "Seconds that each model batch took.",
            buckets=SECONDS,
            registry=r,
        )
        self.model_failures = Counter(
            "darling_model_failures_total", "Model batches that failed.", registry=r
        )
        self.workers = Gauge(
            "darling_workers",
            "Model processes that answer; 0 where the service computes the model itself.",
            registry=r,
        )
        self.worker_ends = Counter(
            "darling_worker_ends_total",
            "Model processes that ended or hung, and were replaced.",
            registry=r,
        )
        self.dropped = Counter(
            "darling_dropped_units_total",
            "Units of model work dropped because their callers had gone.",
            registry=r,
        )

        self.waiting = Gauge(
            "darling_waiting_rollouts",
            "Callers that wait for the other rollouts of their group.",
            registry=r,
        )
        self.cohort_bytes = Gauge(
            "darling_cohort_bytes",
            "Memory in bytes held by waiting and scored cohorts.",
            registry=r,
        )
        self.cohorts = Counter(
            "darling_cohorts_total",
            "Cohorts by end: complete, partial (flagged in the answer), or failed.",
            ["end"],
            registry=r,
        )
        self.cohort_events = Counter(
            "darling_cohort_events_total",
            "Rollouts sent to cohorts, by event: joined, duplicate, replaced, left, late (after "
            "the end), repeated (a retry answered again), refused (no memory left).",
            ["event"],
            registry=r,
        )
        self.cohort_seconds = Histogram(
            "darling_cohort_seconds",
            "Seconds from a cohort's first rollout until it is scored.",
            buckets=SECONDS,
            registry=r,
        )

        self.audits = Counter(
            "darling_audits_total",
            "Requests drawn for the audit, by outcome: equal, differing (to be alarmed about), "
            "failed (not scored again), or skipped (another one was being scored again).",
            ["outcome"],
            registry=r,
        )
        for outcome in AUDIT_OUTCOMES:  # so that an alert sees the first one that differs
            self.audits.labels(outcome)

        self.runs = RunMetrics(r)
        self.history_groups = Counter(
            "darling_history_groups_total",
            "Groups by what became of them in the history: recorded, or dropped because the store "
            "was too slow or failed.",
            ["outcome"],
            registry=r,
        )
        for outcome in HISTORY_OUTCOMES:
            self.history_groups.labels(outcome)

        self.unobserved = Counter(
            "darling_unobserved_groups_total",
            "Groups that were scored, but missed in the metrics or the history because of an error "
            "in the service, which the log tells once.",
            registry=r,
        )

        self.unmatched = Counter(
            "darling_unmatched_prompts_total",
            "Rollouts of OpenRLHF whose query does not start with its prompt, scored with the "
            "prompt included.",
            registry=r,
        )

    def observe_cache(self, size: Callable[[], int]) -> None:
        gauge = Gauge(
            "darling_cache_bytes", "Memory in bytes held by cached results.", registry=self.registry
        )
        gauge.set_function(size)

    def observe_usage(self, usage: Usage) -> None:
        self.pairs.labels("classified").inc(usage.classified)
        self.pairs.labels("cached").inc(usage.cached)
        self.pairs.labels("skipped").inc(usage.skipped)
        self.truncated.inc(usage.truncated)

    def observe_group(self, figures: Figures) -> None:
        """The figures are those of one group."""
        self.groups.inc()
        self.rollouts.inc(figures.rollouts)
        self.classes.observe(figures.classes)
        self.diversity.observe(figures.diversity)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


def _require_folder() -> None:
    """Raises `ValueError` if prometheus_client is told of a folder in which it cannot write."""
    for name in (FOLDER, FOLDER.lower()):
        folder = os.environ.get(name)
        if folder is None:
            continue
        try:
            if not folder:
                raise OSError(None, "no name")
            TemporaryFile(dir=folder).close()
        except OSError as error:
            raise ValueError(
                f"the environment variable {name} is {folder!r}, in which no file can be written "
                f"({error.strerror}); unset it, since one process counts and needs no such "
                "folder"
            ) from error
