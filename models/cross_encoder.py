"""Any Hugging Face sequence-classification checkpoint as a pairwise classifier.

Both texts go through the model together, so a group costs O(n^2) passes. The checkpoint's own
tokenizer joins them (special tokens once, white space kept); the probability is the softmax of the
"equivalent" label, or the sigmoid of a single logit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from models.options import DEFAULT_OPTIONS, ModelError, ModelOptions
from models.protocol import (
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Unit,
    content_key,
    estimate_tokens,
)
from models.tiles import run_in_tiles

SIMILAR_NAMES = {"similar", "same", "equivalent", "duplicate", "paraphrase", "yes"}
LONGEST_INPUT = 8192
"""Tokens of a pair when neither the checkpoint nor the settings give a limit."""


@dataclass(frozen=True, slots=True)
class PairResult:
    probability: float
    tokens: int
    truncated: bool
    nbytes: int = 64


class CrossEncoder:
    """A pairwise classifier; the two texts are put in one canonical order, so it is symmetric."""

    def __init__(self, path: str, options: ModelOptions = DEFAULT_OPTIONS) -> None:
        """`path`: a local folder or a hub id. Raises `ModelError` if it cannot classify pairs."""
        self._model = _load(path).to(options.device)
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        self._segments = "token_type_ids" in self._tokenizer.model_input_names
        self._device = options.device
        config = self._model.config
        self._similar = _similar_label(config, options.similar_label)
        self._max_length = options.max_length or _max_length(self._tokenizer, config)
        if config.pad_token_id is None:
            # A decoder finds the token to classify by looking for padding.
            config.pad_token_id = self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0
        self.info = options.apply(
            ModelInfo(
                id=f"cross-encoder:{path}",
                revision=self._fingerprint(),
                threshold=float(getattr(config, "equivalence_threshold", 0.5)),
                linkage="average",
                description=f"{config.model_type} over pairs of at most {self._max_length} tokens",
            )
        )

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        units = [_unit(texts[i], texts[j]) for i, j in pairs.tolist()]
        return Plan(units, np.arange(len(units), dtype=np.int64)[:, None])

    def run(self, units: Sequence[Unit]) -> list[PairResult]:
        if not units:
            return []
        encoded = self._tokenizer(
            [unit.inputs[0] for unit in units],
            [unit.inputs[1] for unit in units],
            truncation="longest_first",
            max_length=self._max_length,
        )
        sequences = [
            np.asarray([encoding.ids, encoding.type_ids], dtype=np.int64)
            for encoding in encoded.encodings
        ]
        results: dict[int, PairResult] = {}
        pad = int(self._model.config.pad_token_id)
        for index, logits in run_in_tiles(self._forward, sequences, pad, self._device):
            results[index] = PairResult(
                probability=self._probability(logits),
                tokens=sequences[index].shape[1],
                truncated=bool(encoded.encodings[index].overflowing),
            )
        return [results[i] for i in range(len(units))]

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        units = self.plan(prompt, texts, pairs).units
        return np.asarray([results[unit.key].probability for unit in units], dtype=np.float64)

    def _forward(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        ids, types = inputs
        given = {"token_type_ids": types} if self._segments else {}
        logits: torch.Tensor = self._model(input_ids=ids, attention_mask=mask, **given).logits
        return logits.double().cpu()

    def _probability(self, logits: torch.Tensor) -> float:
        if len(logits) == 1:
            return float(torch.sigmoid(logits)[0])
        return float(torch.softmax(logits, dim=0)[self._similar])

    def _fingerprint(self) -> str:
        digest = blake2b(digest_size=8)
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        digest.update(f"{self._similar} {self._max_length}".encode())
        return digest.hexdigest()


def _unit(a: str, b: str) -> Unit:
    a, b = sorted((a, b))
    return Unit(content_key(a, b), (a, b), estimate_tokens(a) + estimate_tokens(b))


def _load(path: str) -> Any:
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            path, output_loading_info=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the cross-encoder {path!r}: {error}") from error
    if report["missing_keys"]:
        raise ModelError(
            f"{path!r} has no trained classification head: its weights lack "
            f"{sorted(report['missing_keys'])}. Give a sequence-classification checkpoint."
        )
    return model.eval()


def _similar_label(config: Any, chosen: int | None) -> int:
    """The chosen index, else the label with a telling name, else the last (as published)."""
    if chosen is not None:
        if not 0 <= chosen < config.num_labels:
            raise ModelError(f"similar_label is {chosen}; the model has {config.num_labels} labels")
        return chosen
    named = [i for i, name in config.id2label.items() if str(name).lower() in SIMILAR_NAMES]
    return int(named[0]) if len(named) == 1 else int(config.num_labels) - 1


def _max_length(tokenizer: Any, config: Any) -> int:
    positions = getattr(config, "max_position_embeddings", None) or LONGEST_INPUT
    return int(min(tokenizer.model_max_length, positions, LONGEST_INPUT))
