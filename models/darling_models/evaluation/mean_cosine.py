"""The baseline `minilm`: the encoder's own similarity, without any training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darling_models.embedded.encoder import TextEncoder, Vectors, wheel_weights
from darling_models.keys import content_key
from darling_models.options import DEFAULT_OPTIONS
from darling_models.protocol import (
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Unit,
    number_fault,
    text_unit,
)


@dataclass(frozen=True, slots=True)
class MeanVector:
    direction: Vectors
    tokens: int
    truncated: bool = False

    @property
    def nbytes(self) -> int:
        return self.direction.nbytes

    @property
    def fault(self) -> Exception | None:
        return number_fault(bool(np.isfinite(self.direction).all()))


class MeanCosine:
    """Cosine of two texts' mean token vectors, by MiniLM."""

    info = ModelInfo(
        id="minilm",
        revision="1",
        threshold=0.88,
        linkage="average",
        description="Cosine of all-MiniLM-L6-v2's mean token vectors",
    )

    def __init__(self, device: str = DEFAULT_OPTIONS.device) -> None:
        self._encoder = TextEncoder(wheel_weights(), device)

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        used, local = np.unique(pairs, return_inverse=True)
        units = [text_unit(texts[i]) for i in used]
        return Plan(units, local.reshape(pairs.shape).astype(np.int64))

    def run(self, units: Sequence[Unit]) -> list[MeanVector]:
        tokenized = self._encoder.tokenize([unit.inputs[0] for unit in units])
        means = [rows.mean(axis=0) for rows in self._encoder.token_vectors(tokenized)]
        return [
            MeanVector(mean / np.linalg.norm(mean), len(text.ids))
            for mean, text in zip(means, tokenized, strict=True)
        ]

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        used = {i: results[content_key(texts[i])].direction for i in np.unique(pairs).tolist()}
        cosines = [used[i] @ used[j] for i, j in pairs.tolist()]
        return np.clip(np.asarray(cosines, dtype=np.float64), 0.0, 1.0)
