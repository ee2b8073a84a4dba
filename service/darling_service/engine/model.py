"""Calls of the model, each of which may hang: what hangs is given up, and the next call goes on.

A model of this process runs in a thread, one call at a time. Model processes (`workers`) run a call
each at a time. A distant model is asked on the event loop of its servers, where a call can be given
up at any time.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from itertools import count

from darling_models.errors import ModelBusy, ModelFault
from darling_models.protocol import (
    ONE_PAIR,
    Distant,
    EquivalenceClassifier,
    Result,
    Unit,
    all_pairs,
    counted,
    probabilities_of,
    run_batch,
)
from darling_models.runtime.memory import is_out_of_memory
from darling_service.engine.pool import Pool
from darling_service.engine.thread import ModelThread
from darling_service.engine.workers import TRIES
from darling_service.upstream import PROBE_S

log = logging.getLogger(__name__)

STALL_S = 15.0
"""Seconds after which a batch that still runs raises the question whether the model answers at all:
some times what the longest text takes."""
MAX_WARM_UP_TOKENS = 65_536
"""Tokens of the largest batch that is run before the service is ready: 10 s on two cores, and less
than 1 s on a GPU, where batches of this size make sense."""
PROBE = ("Name a colour.", ["Blue is a colour.", "Red."], all_pairs(2))
"""Prompt, texts and pairs of the question that tells whether the model answers."""


class Model:
    """The calls of one classifier, and whether it answers them."""

    def __init__(
        self,
        classifier: EquivalenceClassifier,
        timeout_s: float,
        workers: Pool | None = None,
    ) -> None:
        """`workers`: the processes that run the classifier; None: this one does."""
        self.classifier = classifier
        self._workers = workers
        self.distant = isinstance(classifier, Distant)
        """Whether several calls may run at a time, each of which can be given up."""
        self.healthy = True
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._thread = ModelThread("model", timeout_s)
        self._since: set[float] = set()
        """When the calls that run began, by the monotonic clock."""
        self._probing: asyncio.Task[Exception | None] | None = None

    @property
    def at_once(self) -> int:
        """Number of batches that can run side by side. A distant model takes more."""
        return 1 if self._workers is None else max(len(self._workers.alive), 1)

    async def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        """What `run_batch` returns or raises, and `ModelHung`."""
        began = time.monotonic()
        self._since.add(began)
        try:
            if self._workers is not None:
                return counted(self.classifier, units, await self._workers.run(units))
            if not isinstance(self.classifier, Distant):
                return await self._thread.call(run_batch, self.classifier, units)
            results = await asyncio.wrap_future(self.classifier.begin(units))
            return counted(self.classifier, units, results)
        finally:
            self._since.discard(began)

    def run_now(self, unit: Unit) -> Result:
        """The unit's result by itself, for another thread, which waits."""
        if self._workers is not None:
            running = asyncio.run_coroutine_threadsafe(self.run([unit]), self._loop)
            results = running.result(TRIES * self._timeout_s)
        elif isinstance(self.classifier, Distant):
            results = counted(self.classifier, [unit], self.classifier.begin([unit]).result())
        else:
            results = self._thread.call_now(run_batch, self.classifier, [unit])
        return results[0]

    async def probe(self) -> Exception | None:
        """Asks the model a question outside the queue and the cache, and sets `healthy`.

        Returns what kept it from answering with a probability; None if nothing did.
        """
        try:
            units = {unit.key: unit for unit in self.classifier.plan(*PROBE).units}
            results = dict(zip(units, await self.run(list(units.values())), strict=True))
            for result in results.values():
                if result.fault is not None:
                    raise result.fault
            await self._thread.call(probabilities_of, self.classifier, *PROBE, results)
        except Exception as fault:
            self.healthy = isinstance(fault, ModelBusy)
            log_fault(fault, 1)
            return fault
        self.healthy = True
        return None

    async def ready(self) -> bool:
        """Whether the model answers. One that has failed, or lets a batch wait, is asked anew."""
        if self._workers is not None and not self._workers.alive:
            return False
        if self.healthy and time.monotonic() - min(self._since, default=math.inf) < STALL_S:
            return True
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self.probe())
        # The question goes on, for whoever looks next.
        await asyncio.wait({self._probing}, timeout=PROBE_S)
        return self._probing.done() and self.healthy

    async def warm_up(self, tokens: int) -> None:
        """Runs a batch of this size, if the model is a local one: the first takes longest.

        Raises what the model raises; a batch that does not fit the memory is only told of.
        """
        if self.distant:
            return
        try:
            batch = _batch_of(self.classifier, min(tokens, MAX_WARM_UP_TOKENS))
            await asyncio.gather(*(self.run(batch) for _ in range(self.at_once)))
        except Exception as fault:
            if not is_out_of_memory(fault):
                raise
            log.warning(
                "a batch of max_batch_tokens = %d does not fit the memory: such a batch will be "
                "split, which takes time; lower the setting",
                tokens,
            )

    def stop(self) -> None:
        """Takes no more calls; does not wait for those that run."""
        self._thread.stop()
        if self._workers is not None:
            self._workers.stop()


def log_fault(fault: Exception, count: int) -> None:
    """Logs the first of `count` faults; only one that no message explains, with its traceback."""
    said = fault.in_log if isinstance(fault, ModelFault) else None
    log.warning(
        "the model has failed (units of work: %d): %s",
        *(count, said or type(fault).__name__),
        exc_info=None if said else fault,
    )


def _batch_of(classifier: EquivalenceClassifier, tokens: int) -> list[Unit]:
    """Units of so many tokens in sum, or of one pair, of texts of a hundred words."""
    units: dict[bytes, Unit] = {}
    total = 0
    for number in count():
        texts = [f"{letter} {number} " + "word " * 100 for letter in "ab"]
        new = [unit for unit in classifier.plan("", texts, ONE_PAIR).units if unit.key not in units]
        total += sum(unit.tokens for unit in new)
        if not new or (units and total > tokens):
            return list(units.values())
        units |= {unit.key: unit for unit in new}
    raise AssertionError("counting has no end")
