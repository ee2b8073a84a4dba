"""The figures of each training run as Prometheus counters, of which `rate` makes means.

Counters add up over replicas, lose nothing between two scrapes and survive a restart. A mean is one
sum by another: `rate(darling_run_classes_total[10m]) / rate(darling_run_groups_total[10m])`. A
counter must not go down, so sums of what may be negative are split by sign.
"""

import threading
import time
from collections import Counter as Counts
from collections import OrderedDict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge

from darling_service.history.figures import Figures

if TYPE_CHECKING:  # it imports the scoring, which imports the telemetry
    from darling_service.history.recorded import RunKey

MAX_RUNS = 20
"""Runs with series of their own, 20 series each. Groups of others are counted under `OTHER`. A key
that has fewer of them than another takes that key's place, so that none has them all."""
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
        self._last: OrderedDict[RunKey, float] = OrderedDict()
        """When each run that has series had its last group; the longest ago first."""
        self._lock = threading.Lock()

    def observe(self, run: "RunKey", step: int | None, figures: Figures) -> None:
        """Adds the figures of some groups of a run. May be called in any thread."""
        with self._lock:
            label = run.label if run.label != OTHER and self._has_room(run) else OTHER
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

    def _has_room(self, run: "RunKey") -> bool:
        """Whether the run has series of its own; it makes room for them where it may."""
        now = time.monotonic()
        if run not in self._last and len(self._last) >= MAX_RUNS:
            stale = self._to_give_way(run.caller, now)
            if stale is None:
                return False
            del self._last[stale]
            self._remove(stale.label)
        self._last[run] = now
        self._last.move_to_end(run)
        return True

    def _to_give_way(self, caller: str, now: float) -> "RunKey | None":
        """The run whose series make room for another of the caller's: the stalest if it is idle,
        else that of the key with the most runs, if it has at least two more than the caller."""
        stalest, last = next(iter(self._last.items()))
        if now - last >= IDLE_S:
            return stalest
        counts = Counts(run.caller for run in self._last)
        (most, count), *_ = counts.most_common(1)
        if count < counts[caller] + 2:
            return None
        return next(run for run in self._last if run.caller == most)

    def _remove(self, label: str) -> None:
        for metric in (*self._sums.values(), self._reward, self._rated, self._quality, self._step):
            metric.remove_by_labels({"run": label})


def _add(metric: Counter, labels: tuple[str, ...], value: float) -> None:
    """Adds a value to the sum of its sign."""
    metric.labels(*labels, "positive").inc(max(value, 0.0))
    metric.labels(*labels, "negative").inc(max(-value, 0.0))
