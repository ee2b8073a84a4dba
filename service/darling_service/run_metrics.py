"""The figures of each training run as Prometheus counters, of which `rate` makes means.

Counters add up over replicas, lose nothing between two scrapes and survive a restart. A mean is one
sum by another: `rate(darling_run_classes_total[10m]) / rate(darling_run_groups_total[10m])`. A
counter must not go down, so sums of what may be negative are split by sign.
"""

import threading
import time
from collections import OrderedDict

from prometheus_client import CollectorRegistry, Counter, Gauge

from darling_service.history.figures import Figures

MAX_RUNS = 20
"""Runs with series of their own, 20 series each. Groups of others are counted under `OTHER`."""
IDLE_S = 3600.0
"""Seconds without a group after which a run's series make room for those of another run."""
OTHER = "other"
"""Label of the groups of all runs beyond `MAX_RUNS`."""

RUN = ("run",)
BY_SIGN = ("run", "sign")
BY_ROLLOUTS = ("run", "rollouts")
COUNTERS = {
    "groups": "Groups scored, by run.",
    "rollouts": "Rollouts in those groups.",
    "partial_groups": "Groups scored without all of their rollouts, by run.",
    "collapsed_groups": "Groups of two or more rollouts that are all in one class, by run.",
    "classes": "Sum of the groups' numbers of classes, by run.",
    "diversity": "Sum of the groups' mean diversities, each from 0 to 1, by run.",
    "effective_classes": "Sum of the groups' effective numbers of classes, exp(entropy), by run.",
    "dominant_share": "Sum of the shares of each group's rollouts in its largest class, by run.",
    "entropy": "Sum of the entropies of the groups' class sizes, in nats, by run.",
    "rewarded_rollouts": "Rollouts that got a reward, by run.",
}
"""The figures that are counters as they stand, with the help text of each."""


class RunMetrics:
    """The metrics of the runs, of a bounded number."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = RUN) -> Counter:
            return Counter(f"darling_run_{name}_total", text, labels, registry=registry)

        self._sums = {name: counter(name, text) for name, text in COUNTERS.items()}
        self._reward = counter(
            "reward",
            "Sums of rewards, by run and sign: positive, or negative (as a positive number).",
            BY_SIGN,
        )
        self._rated = counter(
            "rated_rollouts",
            "Rollouts with quality, by run and whether they are distinct (alone in their class) or "
            "duplicated.",
            BY_ROLLOUTS,
        )
        self._quality = counter(
            "quality",
            "Sums of the quality of those rollouts, likewise, and by sign: positive, or negative "
            "(as a positive number).",
            (*BY_ROLLOUTS, "sign"),
        )
        self._step = Gauge(
            "darling_run_step", "Latest step that a run has sent.", RUN, registry=registry
        )
        self._last: OrderedDict[str, float] = OrderedDict()
        """When each run that has series had its last group; the longest ago first."""
        self._lock = threading.Lock()

    def observe(self, run: str, step: int | None, figures: Figures) -> None:
        """Adds the figures of some groups of a run. May be called in any thread."""
        with self._lock:
            label = self._label(run)
            for name, metric in self._sums.items():
                metric.labels(label).inc(getattr(figures, name))
            _add(self._reward, (label,), figures.reward)
            for rollouts, number, quality in (
                ("distinct", figures.distinct_rollouts, figures.distinct_quality),
                ("duplicated", figures.duplicated_rollouts, figures.duplicated_quality),
            ):
                self._rated.labels(label, rollouts).inc(number)
                _add(self._quality, (label, rollouts), quality)
            if step is not None and label != OTHER:
                self._step.labels(label).set(step)

    def _label(self, run: str) -> str:
        """The run's own label, if there is room for its series, which idle runs make."""
        now = time.monotonic()
        if run not in self._last and len(self._last) >= MAX_RUNS:
            longest, last = next(iter(self._last.items()))
            if now - last < IDLE_S:
                return OTHER
            del self._last[longest]
            self._remove(longest)
        self._last[run] = now
        self._last.move_to_end(run)
        return run

    def _remove(self, run: str) -> None:
        for metric in (*self._sums.values(), self._reward, self._rated, self._quality, self._step):
            metric.remove_by_labels({"run": run})


def _add(metric: Counter, labels: tuple[str, ...], value: float) -> None:
    """Adds a value to the sum of its sign."""
    metric.labels(*labels, "positive").inc(max(value, 0.0))
    metric.labels(*labels, "negative").inc(max(-value, 0.0))
