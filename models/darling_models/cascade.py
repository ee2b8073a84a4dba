"""Two stages: the embedded head decides the clear pairs, another model the rest.

`cascade:MODEL` is pairwise, with MODEL's threshold. A pair whose embedded probability is above the
head's `precision` point is answered 1, one that is not above its `recall` point 0, and only what
lies between goes to MODEL, whose probability is the answer. On clear pairs the cascade is therefore
as good as the head, and their 0 or 1 is a decision, not a probability. Only MODEL's tokens are
counted: the head's are few.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from cachetools import LRUCache

from darling_models import registry
from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import (
    ONE_PAIR,
    EquivalenceClassifier,
    Failed,
    ModelInfo,
    Result,
    Unit,
    probabilities_of,
    run_units,
)

MAX_REMEMBERED_BYTES = 64 * 2**20
"""Memory for the first stage's results: a text is in n - 1 pairs, often of several batches."""


def load(name: str, target: str, options: ModelOptions) -> "Cascade":
    """`cascade:MODEL`. Both stages get the options that they read. Raises `ModelError`."""
    # The embedded encoder has no tiles; what they compute in is float32.
    runtime = "float32" if options.runtime == "tiles" else options.runtime
    first = registry.load("embedded", ModelOptions(device=options.device, runtime=runtime))
    second = registry.load(target, registry.only_read(target, options))
    return Cascade(first, second, options)


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
            )
        )

    def context(self, prompt: str) -> tuple[str, ...]:
        return (prompt,)

    def run(self, units: Sequence[Unit]) -> list[PairResult | Failed]:
        """Raises what the models raise, and `ModelError` if the first gives no probability."""
        described = self._described(units)
        likely = [self._likely(unit, described) for unit in units]
        unsure = [i for i, p in enumerate(likely) if self._low < p <= self._high]
        planned = [self._plan(self._second, units[i])[0] for i in unsure]
        answers = dict(zip(unsure, self._second.run(planned) if planned else (), strict=True))
        return [
            answers[i] if i in answers else PairResult(float(p > self._high), 0, truncated=False)
            for i, p in enumerate(likely)
        ]

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
