"""How fast work is done in this process, so that a request can be told how long it would wait."""

HALF_LIFE_S = 10.0
"""Seconds of work after which a measurement counts half: long enough to even out batches, short
enough to notice that a machine has become slower."""
ASSUMED_S = 1.0
"""Seconds of work that the assumed speed counts as."""
MAX_WEIGHT_S = 2.5
"""Seconds that one measurement counts as at most: a process that was stopped, or waited for a disk,
has not become slow."""


class Speed:
    """Cost that is done in a second of work, by the latest measurements."""

    def __init__(self, assumed: float) -> None:
        """`assumed`: the speed until work has been timed."""
        self._cost = assumed * ASSUMED_S
        self._seconds = ASSUMED_S

    def observe(self, cost: float, seconds: float) -> None:
        """Learns from a measurement. What is small is all overhead, and says little of the speed at
        which a queue is worked off: only work that fills a batch or a slice is to be measured."""
        weight = min(seconds, MAX_WEIGHT_S)
        kept = 0.5 ** (weight / HALF_LIFE_S)
        self._cost = self._cost * kept + cost * (weight / seconds if seconds else 1.0)
        self._seconds = self._seconds * kept + weight

    @property
    def per_second(self) -> float:
        return max(self._cost, 1e-3) / self._seconds
