"""Any Hugging Face sequence-classification checkpoint, encoder or decoder, on pairs.

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

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from darling_models.cross_encoder.loading import load_for, load_tokenizer, reads_segments
from darling_models.cross_encoder.packed_runtime import packed_encoder
from darling_models.cross_encoder.pair_input import EncodedPair, PairEncoder
from darling_models.cross_encoder.presets import PRESETS, Preset
from darling_models.cross_encoder.shared_prefix import SharedPrefix
from darling_models.errors import ModelError
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import IntArray, ModelInfo, Unit
from darling_models.runtime.fingerprint import fingerprint_of
from darling_models.runtime.kernels import log_kernels
from darling_models.runtime.overlap import fetched, one_ahead
from darling_models.runtime.packed import PackedEncoder
from darling_models.runtime.precision import name_of
from darling_models.runtime.tiles import Tiles
from darling_models.runtime.window import longest_input

if TYPE_CHECKING:
    from darling_models.cross_encoder.packed_runtime import Packed

SIMILAR_NAMES = {"similar", "same", "equivalent", "duplicate", "paraphrase", "yes"}
"""Names, in lower case, by which a checkpoint's "equivalent" label is known."""
HEAD_ROWS = 256
"""Pairs whose logits are computed at a time on a GPU, always as many: kernels for other numbers of
rows round otherwise. On a CPU each pair's are computed by themselves."""
READ_TOKENS = 2**17
"""Tokens, by estimate, of the pairs that are tokenised at a time beside a GPU: two of its
largest packs, or one where the model cuts the pairs to half. Fewer would not keep all cores busy,
and the GPU would wait longer for more."""


def load(name: str, target: str, options: ModelOptions) -> "CrossEncoder":
    """`cross-encoder:PATH_OR_ID`, or a preset's name and, if it needs one, a path or id.

    Raises `ModelError`.
    """
    preset = PRESETS.get(name.partition(":")[0])
    if preset is None:
        return CrossEncoder(target, options)
    path = target or preset.checkpoint
    assert path is not None, "the registry demands a target where no weights are published"
    return CrossEncoder(path, options, preset, name)


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
        name = name or f"cross-encoder:{path}"
        self._model = load_for(path, options, name)
        config = self._model.config
        tokenizer = load_tokenizer(path, preset)
        self._device = options.device
        similar_label = _first(
            options.similar_label,
            preset and preset.similar_label,
            getattr(config, "equivalence_label", None),
        )
        self._similar = _similar_label(config, similar_label)
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
        max_length = longest_input(
            tokenizer,
            self._model,
            _first(options.max_length, getattr(config, "equivalence_max_length", None)),
        )
        threshold = _first(
            preset and preset.threshold, getattr(config, "equivalence_threshold", None), 0.5
        )
        self._packed = packed_encoder(self._model, options)
        choice = self._packed.choice if isinstance(self._packed, PackedEncoder) else None
        log_kernels(name, choice)
        self._segments = reads_segments(self._model, tokenizer, template)
        self._tiles = Tiles(self._model, self._forward, options.device)
        if self._packed is None:
            self._tiles.try_rows()
        self._shared = None
        if self._packed is None and options.runtime != "tiles" and not self._segments:
            self._shared = SharedPrefix.of(self._model, options.device, self._tiles.tokens)
        self._pairs = PairEncoder(tokenizer, template, max_tokens_per_text, max_length)
        self.window = max_length
        read = (
            f"{max_tokens_per_text} tokens a side"
            if max_tokens_per_text
            else f"{max_length} tokens"
        )
        self.info = options.apply(
            ModelInfo(
                id=name,
                revision=self._fingerprint(template, max_tokens_per_text, max_length),
                threshold=float(threshold),
                published_threshold=float(threshold),
                linkage="average",
                description=f"{config.model_type} in {name_of(self._model.dtype)} over pairs of at "
                f"most {read}",
                kernels=choice.name if choice else None,
                kernels_reason=choice.reason if choice else None,
            )
        )

    def run(self, units: Sequence[Unit]) -> list[PairResult]:
        if not units:
            return []
        encoded: list[EncodedPair] = []
        results: dict[int, PairResult] = {}

        def read() -> Iterator[EncodedPair]:
            for pairs in self._in_parts(units):
                encoded.extend(pairs)
                yield from pairs

        for index, logits in self.logits(read()):
            # A model that cannot tell the texts apart would call them equivalent.
            confused = encoded[index].confused
            results[index] = PairResult(
                probability=0.0 if confused else self._probability(logits),
                tokens=encoded[index].sequence.shape[1],
                truncated=encoded[index].truncated,
            )
        return [results[i] for i in range(len(units))]

    def encode(
        self, units: Sequence[Unit], ids: dict[str, IntArray] | None = None
    ) -> list[EncodedPair]:
        """The tokens that the model reads of each unit. `ids`: as for `PairEncoder.encode`."""
        return self._pairs.encode([(unit.inputs[0], unit.inputs[1]) for unit in units], ids)

    def _in_parts(self, units: Sequence[Unit]) -> Iterator[list[EncodedPair]]:
        """The tokens of each unit: on a CPU all at a time, which is the least work; on a GPU some
        while it computes those before."""
        if self._device == "cpu":
            return iter([self.encode(units)])
        tokens = accumulate(unit.tokens for unit in units)
        numbered = zip((total // READ_TOKENS for total in tokens), units, strict=True)
        parts = ([unit for _, unit in part] for _, part in groupby(numbered, itemgetter(0)))
        # The texts of a group are in two parts where its pairs are.
        return one_ahead(partial(self.encode, ids={}), parts)

    def logits(self, pairs: Iterable[EncodedPair]) -> Iterator[tuple[int, torch.Tensor]]:
        """Yields (index, logits (labels,)) of every pair, in any order."""
        if self._packed is not None:
            yield from self._packed_logits(self._packed, pairs)
        elif self._shared is not None:
            yield from self._shared.logits(list(pairs))
        else:
            yield from self._tiles.run([pair.sequence for pair in pairs])

    def _packed_logits(
        self, packed: "Packed", pairs: Iterable[EncodedPair]
    ) -> Iterator[tuple[int, torch.Tensor]]:
        channels = 2 if self._segments else 1
        packs = packed.first(pair.sequence[:channels] for pair in pairs)
        started = ((indices, self._head_in_parts(states)) for indices, states in packs)
        for indices, logits in fetched(started):
            yield from zip(indices, logits, strict=True)

    @torch.inference_mode()
    def _head_in_parts(self, states: torch.Tensor) -> torch.Tensor:
        """Logits (pairs, labels) from the states that the checkpoint's own head reads."""
        rows = 1 if self._device == "cpu" else HEAD_ROWS
        logits = [
            self._head(functional.pad(some, (0, 0, 0, rows - len(some)))[:, None])[: len(some)]
            for some in torch.split(states, rows)
        ]
        return torch.cat(logits).double()

    def _head(self, states: torch.Tensor) -> torch.Tensor:
        """Logits from the states that the checkpoint's own head reads, (rows, 1, hidden)."""
        pooler = getattr(self._model, "pooler", None) or getattr(
            self._model.base_model, "pooler", None
        )
        if self._model.config.model_type == "modernbert":
            states = self._model.head(states[:, 0])
        logits: torch.Tensor = self._model.classifier(states if pooler is None else pooler(states))
        return logits

    def _forward(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        ids, types = inputs
        segments = {"token_type_ids": types} if self._segments else {}
        logits: torch.Tensor = self._model(input_ids=ids, attention_mask=mask, **segments).logits
        return logits.double().cpu()

    def _probability(self, logits: torch.Tensor) -> float:
        if len(logits) == 1:
            return float(torch.sigmoid(logits)[0])
        return float(torch.softmax(logits, dim=0)[self._similar])

    def _fingerprint(self, *choices: object) -> str:
        way = "packed" if self._packed else "shared prefix" if self._shared else "tiles"
        way += "" if self._tiles.tokens is None else " of one row"
        bits = self._packed.bits() if isinstance(self._packed, PackedEncoder) else ""
        computed = f"{self._model.dtype} {way} {bits}"
        return fingerprint_of(self._model.state_dict(), f"{self._similar} {choices} {computed}")


def _first(*choices: Any) -> Any:
    """The first choice that is not None."""
    return next((choice for choice in choices if choice is not None), None)


def _similar_label(config: Any, index: int | None) -> int:
    """Index of the "equivalent" label: the one set, else the one so named, else the last, which is
    where published checkpoints have it. Raises `ModelError` if the model has no such label."""
    if config.num_labels == 1:
        return 0
    if index is not None:
        if not 0 <= index < config.num_labels:
            raise ModelError(
                f"similar_label is {index}; the model has {config.num_labels} labels, from index 0"
            )
        return index
    named = [i for i, name in config.id2label.items() if str(name).lower() in SIMILAR_NAMES]
    return int(named[0]) if len(named) == 1 else int(config.num_labels) - 1
