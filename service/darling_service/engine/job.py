"""What the engine works on: the pairs of a group, the units they need, and what comes of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from darling_models.protocol import EquivalenceClassifier, FloatArray, IntArray, Result, Unit


@dataclass(frozen=True, slots=True)
class Job:
    """The pairs of one group, and which of their units the cache has."""

    classifier: EquivalenceClassifier
    """The engine's classifier, by the notion of the job."""
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


@dataclass(slots=True)
class Work:
    """A unit in the queue or in the model, shared by every job that waits for it."""

    unit: Unit
    done: asyncio.Future[Result]
    waiters: int = 0

    @property
    def tokens(self) -> int:
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
