"""How fast work is done in this process, so that a request can be told how long it would wait."""

HALF_LIFE_S = 10.0
"""Seconds of work after which a measurement counts half: long enough to even out batches, short
enough to notice that a machine has become slower."""
ASSUMED_S = 1.0
"""Seconds of work that the assumed speed counts as."""


class Speed:
    """Cost that is done in a second of work, by the latest measurements."""

    def __init__(self, assumed: float) -> None:
        """`assumed`: the speed until work has been timed."""
        self._cost = assumed * ASSUMED_S
        self._seconds = ASSUMED_S

    def observe(self, cost: float, seconds: float) -> None:
        kept = 0.5 ** (seconds / HALF_LIFE_S)
        self._cost = self._cost * kept + cost
        self._seconds = self._seconds * kept + seconds

    @property
    def per_second(self) -> float:
        return max(self._cost, 1.0) / self._seconds
