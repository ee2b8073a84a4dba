"""Which groups are kept as a whole: for each step those whose ids are the smallest."""

from bisect import insort
from collections import OrderedDict
from threading import Lock

from darling_service.history.recorded import StepKey

MAX_STEPS = 4096
"""Steps of which the smallest ids are remembered, about 100 bytes an id. A step that has been
forgotten has more groups written than it keeps, and the store drops them again."""


class Sample:
    """Tells early which groups the store would drop again, so that their texts are not held."""

    def __init__(self, per_step: int) -> None:
        self._per_step = per_step
        self._smallest: OrderedDict[StepKey, list[str]] = OrderedDict()
        self._lock = Lock()

    def draws(self, step: StepKey, group: str) -> bool:
        """Whether the id is among the smallest of the step so far."""
        with self._lock:
            smallest = self._smallest.setdefault(step, [])
            self._smallest.move_to_end(step)
            if len(self._smallest) > MAX_STEPS:
                self._smallest.popitem(last=False)
            if group in smallest:
                return False
            insort(smallest, group)
            beyond = smallest[self._per_step :]
            del smallest[self._per_step :]
            return group not in beyond
