"""The protocol that every equivalence classifier follows.

A classifier gives the probability that two texts, which answer the same prompt, are equivalent. Its
work is cut into *units*, which a batching engine may run together with units of other requests and
may cache by key:

    plan           what has to go through the model for these pairs (cheap; no model)
    run            the model, on a batch of units from any number of requests
    probabilities  the answers, from the units' results (cheap; vectorised)

An encode-once model has one unit per distinct text, O(n) for a group; a pairwise model one unit per
pair, O(n^2); a lexical one no units at all.

Promises of every implementation, each a test: a unit's result does not depend on the other units
of its batch; a pair's probability does not depend on its order, nor on the other pairs.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from darling_models.errors import ModelError
from darling_models.keys import content_key

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Linkage = Literal["single", "average", "complete", "greedy"]
Notion = Literal["answer", "approach"]
"""What makes two texts equivalent: that they say the same, however they come to it, or that they
use the same method, whatever they come to."""
OperatingPoint = Literal["balanced", "precision", "recall"]
Threshold = float | OperatingPoint
"""A probability, or the name of one that was chosen on held-out pairs."""

T = TypeVar("T")
Steps = Generator[None, None, T]
"""A computation in steps of some hundredths of a second. Other work may run between two steps, and
the computation may be given up there; what it returns does not depend on either."""
STEP_PAIRS = 1024
"""Pairs that are compared in one step where that takes microseconds for each."""

NO_NUMBER = (
    "the model answered with a number that is not finite, or with a probability outside [0, 1]; "
    "its weights may be damaged, or its number format too small for them (runtime float32 is the "
    "largest)"
)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a classifier says of itself; `threshold`, `linkage` and `notion` are its defaults."""

    id: str
    revision: str
    """Fingerprint of everything an answer depends on: weights, head, settings."""
    threshold: float
    """Two texts are equivalent when their probability is above this."""
    linkage: Linkage
    description: str
    operating_points: Mapping[OperatingPoint, float] = field(default_factory=dict)
    """Named thresholds, for a classifier that was calibrated on labelled pairs."""
    published_threshold: float = 0.5
    """Threshold of `parity: darling`: the published code's own, unless the checkpoint was published
    with another or the settings name one."""
    notion: Notion | None = None
    """The notion by which it compares; None where nobody can choose one, and what it was made or
    trained for decides."""
    notions: tuple[Notion, ...] = ()
    """The notions that can be chosen."""
    kernels: str | None = None
    """The kernels of a packed encoder on a CPU, as the setting `kernels` takes them."""
    kernels_reason: str | None = None
    """Why these."""
    instructable: bool = False
    """Whether a request may say in words when two texts are the same, and show the right answer."""

    @property
    def texts_run_alone(self) -> bool:
        """Whether no kernels of this machine give a text the same bits in any company, so that each
        is computed by itself, slower."""
        return "pack=1," in (self.kernels or "")

    def threshold_at(self, wanted: Threshold | None) -> float:
        """`wanted` as a number; None gives the default. Raises `ValueError` for an unknown name."""
        if wanted is None:
            return self.threshold
        if not isinstance(wanted, str):
            return wanted
        if wanted not in self.operating_points:
            known = ", ".join(self.operating_points) or "none"
            raise ValueError(
                f"{self.id} has no threshold named {wanted!r} (it has {known}); give a number"
            )
        return self.operating_points[wanted]

    def require(self, wanted: Notion | None) -> None:
        """Raises `ValueError` if `wanted` is a notion that the classifier does not have."""
        if wanted is not None and wanted not in self.notions:
            known = ", ".join(self.notions) or "none"
            raise ValueError(
                f"{self.id} cannot be told to compare by {wanted!r} (notions to choose from: "
                f"{known}); leave notion out, or serve a model that has it: embedded or "
                "judge:MODEL@BASE_URL"
            )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of model work. Units with equal keys have equal results."""

    key: bytes
    inputs: tuple[str, ...]
    tokens: int
    """An estimate, for budgets; the result knows the true count."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The units that some pairs need."""

    units: list[Unit]
    needs: IntArray
    """Indices into `units` of what each pair needs, shape (m, k); k = 0 without a model."""


class Result(Protocol):
    """The model's result for one unit."""

    @property
    def tokens(self) -> int:
        """Tokens of the input as the model reads it; what units share counts in each of them."""
        ...

    @property
    def truncated(self) -> bool:
        """Whether part of the input did not fit the model and was left out."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory held, for the cache's bound."""
        ...

    @property
    def fault(self) -> Exception | None:
        """Why this is no result, such as a number that is not finite; None if it is one."""
        ...


@dataclass(frozen=True, slots=True)
class Failed:
    """What a unit has instead of a result. Other units of its batch may have theirs."""

    fault: Exception
    tokens: int = 0
    truncated: bool = False
    nbytes: int = 0


def number_fault(sound: bool) -> ModelError | None:
    """The fault of a result whose numbers are not all sound: finite, and a probability in [0, 1]"""
    return None if sound else ModelError(NO_NUMBER)


class EquivalenceClassifier(Protocol):
    @property
    def info(self) -> ModelInfo: ...

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        """Model work for `pairs`, shape (m, 2), of indices into `texts`."""
        ...

    def run(self, units: Sequence[Unit]) -> Sequence[Result]:
        """One result per unit, in order."""
        ...

    def probabilities(
        self,
        prompt: str,
        texts: Sequence[str],
        pairs: IntArray,
        results: Mapping[bytes, Any],
    ) -> FloatArray:
        """P(equivalent) of each pair, shape (m,), from the results of its units by key."""
        ...


@runtime_checkable
class Stepwise(Protocol):
    """A classifier that compares in steps, so that a large group does not hold up the others."""

    def probabilities_in_steps(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        """What `probabilities` returns, in steps: the same bits."""
        ...


@runtime_checkable
class Windowed(Protocol):
    """A local model that reads so many tokens at most; what is longer is cut."""

    @property
    def window(self) -> int:
        """Tokens of the longest input: a pair for a cross-encoder, a text for an encoder."""
        ...


@runtime_checkable
class Distant(Protocol):
    """A classifier whose units other processes or machines compute, some batches at a time."""

    def begin(self, units: Sequence[Unit]) -> "Future[Any]":
        """What `run` returns or raises, to come; cancelling it gives the batch up."""
        ...


class Planner(Protocol):
    """A classifier without its model: what it is, and what its model would have to read."""

    @property
    def info(self) -> ModelInfo: ...

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        """What the classifier's own `plan` returns."""
        ...


@runtime_checkable
class Copied(Protocol):
    """A local model of which several processes may hold a copy each."""

    def planner(self) -> Planner:
        """The classifier's planner, small enough to be sent to another process."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A classifier that has a vector of every text, and so cosines beside its probabilities."""

    def cosines(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        """Cosine of the two texts' vectors in each pair, shape (m,), from the results by key."""
        ...


def cosines_by(
    classifier: Embedder, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
) -> FloatArray:
    """What `classifier.cosines` gives. Raises `ModelError` unless all are finite."""
    cosines = classifier.cosines(texts, pairs, results)
    if not np.isfinite(cosines).all():
        raise ModelError(NO_NUMBER)
    return cosines


def cosines_of(
    vectors: Mapping[bytes, NDArray[np.floating[Any]]], texts: Sequence[str], pairs: IntArray
) -> FloatArray:
    """Cosine of each pair's unit vectors, shape (m,); `vectors` are by the texts' unit keys."""
    own = {i: vectors[text_unit(texts[i]).key].astype(float) for i in np.unique(pairs).tolist()}
    cosines = np.empty(len(pairs), dtype=float)
    for start in range(0, len(pairs), STEP_PAIRS):
        step = pairs[start : start + STEP_PAIRS].tolist()
        products = [own[i] * own[j] for i, j in step]
        # Products commute and the sum runs in one order, so (a, b) and (b, a) are the same bits.
        cosines[start : start + STEP_PAIRS] = np.sum(products, axis=1)
    return cosines


def run_batch(classifier: EquivalenceClassifier, units: Sequence[Unit]) -> Sequence[Result]:
    """What the classifier makes of each unit, in order; a result may have a `fault`.

    Raises `ModelError` if there are more or fewer results than units.
    """
    return counted(classifier, units, classifier.run(units))


def counted(
    classifier: EquivalenceClassifier, units: Sequence[Unit], results: Sequence[Result]
) -> Sequence[Result]:
    """The results. Raises `ModelError` if there are more or fewer than units."""
    if len(results) != len(units):
        raise ModelError(f"{classifier.info.id} gave {len(results)} results for {len(units)} units")
    return results


def run_units(classifier: EquivalenceClassifier, units: Iterable[Unit]) -> dict[bytes, Result]:
    """The results of the distinct units, by key. Raises the first fault among them."""
    distinct = {unit.key: unit for unit in units}
    results = run_batch(classifier, list(distinct.values()))
    for result in results:
        if result.fault is not None:
            raise result.fault
    return dict(zip(distinct, results, strict=True))


def probabilities_of(
    classifier: EquivalenceClassifier,
    prompt: str,
    texts: Sequence[str],
    pairs: IntArray,
    results: Mapping[bytes, Any],
) -> FloatArray:
    """What `classifier.probabilities` gives. Raises `ModelError` unless all are in [0, 1]."""
    return _checked(classifier.probabilities(prompt, texts, pairs, results))


def probabilities_in_steps(
    classifier: EquivalenceClassifier,
    prompt: str,
    texts: Sequence[str],
    pairs: IntArray,
    results: Mapping[bytes, Any],
) -> Steps[FloatArray]:
    """What `probabilities_of` returns, in steps; in one step if the classifier is not `Stepwise`.

    Raises `ModelError` unless all are in [0, 1].
    """
    if isinstance(classifier, Stepwise):
        probabilities = yield from classifier.probabilities_in_steps(prompt, texts, pairs, results)
        return _checked(probabilities)
    return probabilities_of(classifier, prompt, texts, pairs, results)


def finished(steps: Steps[T]) -> T:
    """What a computation in steps returns, once all of them are done."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value


def _checked(probabilities: FloatArray) -> FloatArray:
    """The probabilities. Raises `ModelError` unless all are in [0, 1]."""
    if not ((probabilities >= 0.0) & (probabilities <= 1.0)).all():  # false for nan, too
        raise ModelError(NO_NUMBER)
    return probabilities


def classify(
    classifier: EquivalenceClassifier, prompt: str, texts: Sequence[str], pairs: IntArray
) -> FloatArray:
    """P(equivalent) of each pair, shape (m,): the whole protocol in one synchronous call.

    Raises what the model raises, and `ModelError` if it answers with what is no probability.
    """
    results = run_units(classifier, classifier.plan(prompt, texts, pairs).units)
    return probabilities_of(classifier, prompt, texts, pairs, results)


ONE_PAIR: IntArray = np.asarray([[0, 1]], dtype=np.int64)
"""The pair of two texts, shape (1, 2)."""


def all_pairs(n: int) -> IntArray:
    """Every i < j below n, in row order, shape (n (n - 1) / 2, 2)."""
    return np.stack(np.triu_indices(n, k=1), axis=1).astype(np.int64)


def text_unit(text: str) -> Unit:
    """The unit of one text, for models that encode each text once."""
    return Unit(content_key(text), (text,), estimate_tokens(text))


def estimate_tokens(text: str) -> int:
    """Tokens of a text, roughly, without a tokenizer: 4 bytes each, and the 2 special ones."""
    return len(text.encode()) // 4 + 2
