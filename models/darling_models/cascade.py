"""Two stages: the embedded head decides the clear pairs, another model the rest.

`cascade:MODEL` is pairwise, with MODEL's threshold. A pair whose embedded probability is above the
head's `precision` point is answered 1, one that is not above its `recall` point 0, and only what
lies between goes to MODEL, whose probability is the answer. On clear pairs the cascade is therefore
as good as the head, and their 0 or 1 is a decision, not a probability. Only MODEL's tokens are
counted: the head's are few.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b

from cachetools import LRUCache

from darling_models import registry
from darling_models.errors import ModelError
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import (
    ONE_PAIR,
    Distant,
    EquivalenceClassifier,
    Failed,
    ModelInfo,
    Result,
    Unit,
    probabilities_of,
    run_units,
)
from darling_models.remote.servers_loop import begin

MAX_REMEMBERED_BYTES = 64 * 2**20
"""Memory for the first stage's results: a text is in n - 1 pairs, often of several batches."""
JOINED = "+"
"""Stands between the kernels of the two stages where both have some."""


def load(name: str, target: str, options: ModelOptions) -> "Cascade":
    """`cascade:MODEL`. Both stages get the options that they read. Raises `ModelError`."""
    # The embedded encoder has no tiles; what they compute in is float32.
    runtime = "float32" if options.runtime == "tiles" else options.runtime
    kernels, plus, second_kernels = options.kernels.partition(JOINED)
    own = ModelOptions(device=options.device, runtime=runtime, kernels=kernels)
    first = registry.load("embedded", own)
    if plus and "kernels" not in registry.settings_read(target):
        raise ModelError(
            f"the setting kernels names two choices, and {target!r} reads none; leave out what is "
            f"behind the {JOINED}"
        )
    options_of_second = replace(options, kernels=second_kernels or DEFAULT_OPTIONS.kernels)
    second = registry.load(target, registry.only_read(target, options_of_second))
    kind = DistantCascade if isinstance(second, Distant) else Cascade
    return kind(first, second, options)


@dataclass(frozen=True, slots=True)
class FirstStage:
    """What the embedded head makes of a batch of pairs."""

    decided: list[PairResult]
    """A decision for each pair; that of an unsure one does not count."""
    places: list[int]
    """Indices of the pairs that it is unsure of."""
    unsure: list[Unit]
    """Their units for the second model."""

    def with_answers(self, answers: Sequence[PairResult | Failed]) -> list[PairResult | Failed]:
        """The batch's results, from the second model's answers to the unsure ones."""
        results: list[PairResult | Failed] = list(self.decided)
        for place, answer in zip(self.places, answers, strict=True):
            results[place] = answer
        return results


class Cascade(Pairwise):
    def __init__(
        self, first: EquivalenceClassifier, second: EquivalenceClassifier, options: ModelOptions
    ) -> None:
        """Raises `ModelError` unless `first` has operating points and `second` is pairwise."""
        points = first.info.operating_points
        if not {"precision", "recall"} <= points.keys():
            raise ModelError(f"{first.info.id} has no precision and recall point to decide by")
        if not isinstance(second, Pairwise):
            raise ModelError(
                f"{second.info.id} reads no pairs; a cascade ends in a model that does, such as "
                "cascade:cross-encoder:PATH_OR_ID"
            )
        self._first, self._second = first, second
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cascade")
        self._low, self._high = points["recall"], points["precision"]
        self._seen: LRUCache[bytes, Result] = LRUCache(
            MAX_REMEMBERED_BYTES, getsizeof=lambda result: result.nbytes
        )
        parts = (first.info.revision, second.info.revision, self._low, self._high)
        self.info = options.apply(
            ModelInfo(
                id=f"cascade:{second.info.id}",
                revision=blake2b(str(parts).encode(), digest_size=8).hexdigest(),
                threshold=second.info.threshold,
                published_threshold=second.info.published_threshold,
                linkage=second.info.linkage,
                description=f"{first.info.id} for clear pairs, {second.info.id} from probability "
                f"{self._low:g} to {self._high:g}",
                kernels=_joined(JOINED, first.info.kernels, second.info.kernels),
                kernels_reason=_joined(
                    ", second stage ", first.info.kernels_reason, second.info.kernels_reason
                ),
            )
        )

    def context(self, prompt: str) -> tuple[str, ...]:
        return (prompt,)

    def run(self, units: Sequence[Unit]) -> list[PairResult | Failed]:
        """Raises what the models raise, and `ModelError` if the first gives no probability."""
        first = self._first_stage(units)
        return first.with_answers(self._second.run(first.unsure) if first.unsure else ())

    def _first_stage(self, units: Sequence[Unit]) -> "FirstStage":
        described = self._described(units)
        likely = [self._likely(unit, described) for unit in units]
        unsure = [i for i, p in enumerate(likely) if self._low < p <= self._high]
        decided = [PairResult(float(p > self._high), 0, truncated=False) for p in likely]
        return FirstStage(decided, unsure, [self._plan(self._second, units[i])[0] for i in unsure])

    def _described(self, units: Sequence[Unit]) -> dict[bytes, Result]:
        """The first model's results for every text of these pairs, by key."""
        wanted = {one.key: one for unit in units for one in self._plan(self._first, unit)}
        results = {key: self._seen[key] for key in wanted if key in self._seen}
        new = [one for key, one in wanted.items() if key not in results]
        for key, result in run_units(self._first, new).items():
            results[key] = result
            if result.nbytes <= self._seen.maxsize:
                self._seen[key] = result
        return results

    def _likely(self, unit: Unit, described: Mapping[bytes, Result]) -> float:
        """The first stage's probability of one pair, by itself: its last bits may depend on what is
        compared beside it."""
        a, b, prompt = unit.inputs
        return float(probabilities_of(self._first, prompt, (a, b), ONE_PAIR, described)[0])

    @staticmethod
    def _plan(model: EquivalenceClassifier, unit: Unit) -> list[Unit]:
        a, b, prompt = unit.inputs
        return model.plan(prompt, (a, b), ONE_PAIR).units


class DistantCascade(Cascade):
    """A cascade whose second model answers from afar: only the first keeps a thread busy."""

    def begin(self, units: Sequence[Unit]) -> "Future[list[PairResult | Failed]]":
        """What `run` returns or raises, to come; cancelling it gives the second model up."""
        return begin(self._run(units))

    async def _run(self, units: Sequence[Unit]) -> list[PairResult | Failed]:
        loop = asyncio.get_running_loop()
        first = await loop.run_in_executor(self._thread, self._first_stage, units)
        if not first.unsure:
            return first.with_answers(())
        assert isinstance(self._second, Distant)
        return first.with_answers(await asyncio.wrap_future(self._second.begin(first.unsure)))


def _joined(separator: str, *parts: str | None) -> str | None:
    """The parts that there are; None where there are none."""
    return separator.join(part for part in parts if part is not None) or None
