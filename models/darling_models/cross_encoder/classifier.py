"""Any Hugging Face sequence-classification checkpoint, encoder or decoder, judging pairs.

Both texts go through the model together, so a group costs O(n^2) passes. The probability is the
softmax of the "equivalent" label, or the sigmoid of a single logit. BERT and RoBERTa architectures
run packed (`runtime.packed`), decoders read the first text once for all of its pairs
(`shared_prefix`), the others run in tiles of fixed shape (`runtime.tiles`).

How a checkpoint wants to be used comes from the settings, else from the preset it is loaded under,
else from these attributes of its config.json, else from its tokenizer and the usual conventions:

    equivalence_template      "[CLS]{a}[SEP]{b}[SEP]", special tokens included
    equivalence_max_tokens_per_text   tokens of each text
    equivalence_max_length    tokens of the pair
    equivalence_label         index of the "equivalent" label
    equivalence_threshold     probability above which two texts are equivalent
"""

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from darling_models.cross_encoder.pair_input import EncodedPair, PairEncoder
from darling_models.cross_encoder.presets import Preset
from darling_models.cross_encoder.shared_prefix import SharedPrefix
from darling_models.errors import ModelError
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import IntArray, ModelInfo, Unit
from darling_models.runtime.fingerprint import fingerprint_of
from darling_models.runtime.packed import PackedEncoder, Shape
from darling_models.runtime.precision import dtype_of, name_of
from darling_models.runtime.tiles import run_in_tiles

SIMILAR_NAMES = {"similar", "same", "equivalent", "duplicate", "paraphrase", "yes"}
MAX_INPUT_TOKENS = 8192
"""Tokens of a pair when neither the checkpoint nor the settings give a limit."""


class CrossEncoder(Pairwise):
    """A pairwise classifier; the two texts are put in one canonical order, so it is symmetric."""

    def __init__(
        self,
        path: str,
        options: ModelOptions = DEFAULT_OPTIONS,
        preset: Preset | None = None,
        name: str | None = None,
    ) -> None:
        """`path`: a local folder or a hub id. Raises `ModelError` if it cannot classify pairs."""
        self._model = _loaded(path, options)
        config = self._model.config
        self._pad = config.pad_token_id
        tokenizer = load_tokenizer(path, preset)
        self._device = options.device
        chosen = _first(
            options.similar_label,
            preset and preset.similar_label,
            getattr(config, "equivalence_label", None),
        )
        self._similar = _similar_label(config, chosen)
        template = _first(
            options.pair_template,
            preset and preset.template,
            getattr(config, "equivalence_template", None),
        )
        max_tokens_per_text = _first(
            options.max_tokens_per_text,
            preset and preset.max_tokens_per_text,
            getattr(config, "equivalence_max_tokens_per_text", None),
        )
        max_length = _first(
            options.max_length,
            getattr(config, "equivalence_max_length", None),
            longest_input(tokenizer, config),
        )
        threshold = _first(
            preset and preset.threshold, getattr(config, "equivalence_threshold", None), 0.5
        )
        self._packed = _packed(self._model, options)
        self._segments = reads_segments(self._model, tokenizer, template)
        self._shared = None
        if self._packed is None and options.runtime != "tiles" and not self._segments:
            self._shared = SharedPrefix.of(self._model, options.device)
        self._pairs = PairEncoder(tokenizer, template, max_tokens_per_text, max_length)
        read = (
            f"{max_tokens_per_text} tokens a side"
            if max_tokens_per_text
            else f"{max_length} tokens"
        )
        self.info = options.apply(
            ModelInfo(
                id=name or f"cross-encoder:{path}",
                revision=self._fingerprint(template, max_tokens_per_text, max_length),
                threshold=float(threshold),
                linkage="average",
                description=f"{config.model_type} in {name_of(self._model.dtype)} over pairs of at "
                f"most {read}",
            )
        )

    def run(self, units: Sequence[Unit]) -> list[PairResult]:
        if not units:
            return []
        encoded = self._pairs.encode([(unit.inputs[0], unit.inputs[1]) for unit in units])
        results: dict[int, PairResult] = {}
        for index, logits in self._logits(encoded):
            results[index] = PairResult(
                probability=self._probability(logits),
                tokens=encoded[index].sequence.shape[1],
                truncated=encoded[index].truncated,
            )
        return [results[i] for i in range(len(units))]

    def _logits(self, pairs: Sequence[EncodedPair]) -> Iterator[tuple[int, torch.Tensor]]:
        """(index, logits (labels,)) of every pair, in any order."""
        if self._shared is not None:
            yield from self._shared.logits(pairs)
            return
        sequences = [pair.sequence for pair in pairs]
        if self._packed is None:
            # A decoder classifies the last token that is not padding: without a padding token of
            # its own, it gets one that none of these inputs holds.
            pad = unused_token(sequences) if self._pad is None else self._pad
            self._model.config.pad_token_id = pad
            yield from run_in_tiles(self._forward, sequences, pad, self._device)
            return
        given = sequences if self._segments else [sequence[:1] for sequence in sequences]
        for index, first in self._packed.first(given):
            with torch.inference_mode():
                yield index, self._head(first[None, None])[0].double().cpu()

    def _head(self, states: torch.Tensor) -> torch.Tensor:
        """Logits from the first token's state, (1, 1, hidden), by the checkpoint's own head."""
        pooler = getattr(self._model.base_model, "pooler", None)
        logits: torch.Tensor = self._model.classifier(states if pooler is None else pooler(states))
        return logits

    def _forward(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        ids, types = inputs
        given = {"token_type_ids": types} if self._segments else {}
        logits: torch.Tensor = self._model(input_ids=ids, attention_mask=mask, **given).logits
        return logits.double().cpu()

    def _probability(self, logits: torch.Tensor) -> float:
        if len(logits) == 1:
            return float(torch.sigmoid(logits)[0])
        return float(torch.softmax(logits, dim=0)[self._similar])

    def _fingerprint(self, *choices: object) -> str:
        way = "packed" if self._packed else "shared prefix" if self._shared else "tiles"
        computed = f"{self._model.dtype} {way}"
        return fingerprint_of(self._model.state_dict(), f"{self._similar} {choices} {computed}")


def _first(*choices: Any) -> Any:
    """The first choice that was made."""
    return next((choice for choice in choices if choice is not None), None)


def unused_token(sequences: Sequence[IntArray]) -> int:
    """A token id that no sequence holds."""
    used = set(np.unique(np.concatenate([sequence[0] for sequence in sequences])).tolist())
    return next(token for token in range(len(used) + 1) if token not in used)


def _packed(model: Any, options: ModelOptions) -> PackedEncoder | None:
    """The model's encoder for packed batches; None if it is to run in tiles."""
    shape = Shape.read(model.config.to_dict())
    if options.runtime == "tiles" or shape is None:
        return None
    return PackedEncoder(model.base_model.state_dict(), shape, options.device)


def _loaded(path: str, options: ModelOptions) -> Any:
    """In the runtime's precision; on a GPU `auto` leaves half precision as it was saved."""
    dtype = dtype_of(options.runtime, options.device)
    if options.runtime != "auto" or options.device == "cpu":
        return load_model(path, options.device, dtype)
    model = load_model(path, options.device, None)
    return model.to(dtype) if model.dtype == torch.float32 else model


def load_model(path: str, device: str, dtype: torch.dtype | None) -> Any:
    """A sequence-classification model in `dtype`, by default as it was saved.

    Raises `ModelError` if it has no trained head.
    """
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            path, output_loading_info=True, dtype=dtype or "auto"
        )
    except Exception as error:
        raise ModelError(f"cannot load the checkpoint {path!r}: {error}") from error
    if report["missing_keys"]:
        raise ModelError(
            f"{path!r} has no trained classification head: its weights lack "
            f"{sorted(report['missing_keys'])}. Give a sequence-classification checkpoint."
        )
    return model.eval().to(device)


def load_tokenizer(path: str, preset: Preset | None = None) -> Any:
    try:
        return AutoTokenizer.from_pretrained(path)
    except Exception as error:
        if preset is None or preset.tokenizer is None:
            raise ModelError(f"cannot load the tokenizer of {path!r}: {error}") from error
    try:
        return AutoTokenizer.from_pretrained(preset.tokenizer)
    except Exception as error:
        raise ModelError(f"cannot load the tokenizer {preset.tokenizer!r}: {error}") from error


def reads_segments(model: Any, tokenizer: Any, template: str | None) -> bool:
    """Whether the model tells the two texts apart by segment ids."""
    if "token_type_ids" not in signature(model.forward).parameters:
        return False
    if template is None:
        return "token_type_ids" in tokenizer.model_input_names
    return int(getattr(model.config, "type_vocab_size", 0)) > 1


def _similar_label(config: Any, chosen: int | None) -> int:
    """The chosen index, else the label with a telling name, else the last (as published)."""
    if config.num_labels == 1:
        return 0
    if chosen is not None:
        if not 0 <= chosen < config.num_labels:
            raise ModelError(f"similar_label is {chosen}; the model has {config.num_labels} labels")
        return chosen
    named = [i for i, name in config.id2label.items() if str(name).lower() in SIMILAR_NAMES]
    return int(named[0]) if len(named) == 1 else int(config.num_labels) - 1


def longest_input(tokenizer: Any, config: Any) -> int:
    positions = getattr(config, "max_position_embeddings", None) or MAX_INPUT_TOKENS
    return int(min(tokenizer.model_max_length, positions, MAX_INPUT_TOKENS))
