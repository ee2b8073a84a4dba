"""What the engine works on: the pairs of a group, the units they need, and what comes of them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darling_models.protocol import (
    Embedder,
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    Result,
    Steps,
    Unit,
    cosines_by,
    probabilities_in_steps,
)
from darling_models.runtime.memory import is_out_of_memory

log = logging.getLogger(__name__)

JOB_PAIRS = 100
"""Pairs that take as long to compare as a job does beside its own: 5 ms of the embedded default.
Without it, many small jobs would make the speed seem a hundredth of what a large one gets."""


@dataclass(frozen=True, slots=True)
class Job:
    """The pairs of one group, and which of their units the cache has."""

    classifier: EquivalenceClassifier
    """The engine's classifier, by the notion and the instructions of the job."""
    prompt: str
    texts: Sequence[str]
    pairs: IntArray
    """Indices into `texts`, shape (m, 2)."""
    known: dict[bytes, Result]
    """Results from the cache, by the key of their unit."""
    missing: dict[bytes, Unit]
    """Units that have no result yet, by key."""
    cached_pairs: int
    """Pairs whose units all have their results."""

    @property
    def tokens(self) -> int:
        """Tokens that the model has to read."""
        return sum(unit.tokens for unit in self.missing.values())

    @property
    def comparing(self) -> int:
        """What comparing costs, in pairs; 0 if there is nothing to compare."""
        return len(self.pairs) and len(self.pairs) + JOB_PAIRS


@dataclass(slots=True)
class Work:
    """A unit in the queue or in the model, shared by every job that waits for it."""

    unit: Unit
    done: asyncio.Future[Result]
    waiters: int = 0
    taken: bool = False
    began_ns: int = 0
    """When the model began with it, in nanoseconds since the epoch, if spans are wanted."""

    @property
    def cost(self) -> float:
        return self.unit.tokens

    @property
    def wanted(self) -> bool:
        return self.waiters > 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the classifier says of a job's pairs, and what that took."""

    probabilities: FloatArray
    """P(equivalent) of each pair, shape (m,)."""
    cosines: FloatArray | None
    """Cosine of the two texts of each pair, shape (m,); None unless the caller wanted them."""
    fresh: Sequence[Result]
    """Results that were in no cache: the model computed them."""
    shared: int = 0
    """Number of units that the shared cache had."""


def verdict_in_steps(
    job: Job, results: Mapping[bytes, Result], with_cosines: bool
) -> Steps[tuple[FloatArray, FloatArray | None]]:
    """The probabilities of a job's pairs and, if wanted, their cosines, from its units' results.

    Raises `ModelError` if they are no numbers.
    """
    about = job.prompt, job.texts, job.pairs
    probabilities = yield from probabilities_in_steps(job.classifier, *about, results)
    if not with_cosines:
        return probabilities, None
    assert isinstance(job.classifier, Embedder), "the rule was checked against the model"
    yield
    return probabilities, cosines_by(job.classifier, job.texts, job.pairs, results)


def parts_after(batch: Sequence[Work], fault: Exception) -> Sequence[Sequence[Work]]:
    """What to run instead of a batch that the model has failed on; nothing where it is one unit.

    The halves where memory has run out, else each unit alone.
    """
    if len(batch) == 1:
        return ()
    if is_out_of_memory(fault):
        log.warning("the memory ran out over a batch of %d units; running its halves", len(batch))
        half = len(batch) // 2
        return batch[:half], batch[half:]
    log.warning("a model batch failed (%s); running its units one by one", type(fault).__name__)
    return [[work] for work in batch]
