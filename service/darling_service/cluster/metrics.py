"""The metrics of several processes as those of one: sums, which is what one process would count."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

NOT_SUMMED = frozenset({"darling_workers", "darling_models_without_packs", "darling_run_step"})
"""Gauges that each process sees alike, so that the largest stands for all."""
HEARD_S = 1.5
"""Seconds in which every process that runs tells its metrics."""
GONE_S = 10.0
"""Seconds without a word after which a process has ended: what it held is held no more."""
MAX_ENDED = 64
"""Ended processes whose counters are kept one by one; those of earlier ones are kept as one sum."""


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    help: str
    type: str


Samples = Mapping[Family, Mapping[tuple[str, tuple[tuple[str, str], ...]], float]]
"""Values by family, and by the sample's name and labels."""


def samples_of(registry: CollectorRegistry) -> Samples:
    """What the registry's metrics are now, as plain values."""
    return {
        Family(metric.name, metric.documentation, metric.type): {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for sample in metric.samples
        }
        for metric in registry.collect()
    }


@dataclass(slots=True)
class Together:
    """The metrics of all processes that have told theirs. What a process has counted stays after
    its end, so that no counter goes down."""

    _told: dict[str, tuple[float, Samples]] = field(default_factory=dict)
    """When each process told its metrics last, by the monotonic clock; the latest last."""
    _before: Samples = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def whole_in_s(self) -> float:
        """Seconds until all processes have told theirs. Sums of before would be too small, and
        counters seem to have begun anew."""
        return max(self._since + HEARD_S - time.monotonic(), 0.0)

    def tell(self, process: str, samples: Samples) -> None:
        """`samples`: the metrics of the process by this name as they are now."""
        self._told.pop(process, None)
        self._told[process] = time.monotonic(), samples
        oldest, (at, last) = next(iter(self._told.items()))
        if len(self._told) > MAX_ENDED and time.monotonic() - at > GONE_S:
            del self._told[oldest]
            self._before = _sum([(False, self._before), (False, last)])

    def exposition(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(_Collected(self._summed()))

    def total(self, name: str) -> float:
        """The value of a metric that has no labels; 0 where nobody has told it."""
        families = self._summed().values()
        return next((values[name, ()] for values in families if (name, ()) in values), 0.0)

    def _summed(self) -> Samples:
        now = time.monotonic()
        told = [(now - at < GONE_S, samples) for at, samples in self._told.values()]
        return _sum([(False, self._before), *told])


def _sum(parts: list[tuple[bool, Samples]]) -> Samples:
    """The parts as one; each comes with whether its process runs, or only its counters matter."""
    total: dict[Family, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for runs, samples in parts:
        for family, values in samples.items():
            if family.type == "gauge" and not runs:
                continue
            sums = total.setdefault(family, {})
            for key, value in values.items():
                if family.name in NOT_SUMMED:
                    sums[key] = max(sums.get(key, value), value)
                else:
                    sums[key] = sums.get(key, 0.0) + value
    return total


class _Collected(Collector):
    """Samples as the text format's writer takes them."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        for family, values in self._samples.items():
            metric = Metric(family.name, family.help, family.type)
            for (name, labels), value in values.items():
                metric.add_sample(name, dict(labels), value)
            yield metric
