"""BERT-style encoders on packed batches: every token is a row of one matrix, and none is padding.

Only attention looks beyond a token, so it alone runs per sequence (those of one length together);
everything else is one product for the whole pack. A sequence gets the same bits in any company:

- matrix kernels add up a row's products in one order however many rows there are, unless there are
  very few (1 to 3, measured with MKL); a pack has a multiple of `ROWS`;
- a pack is one thread's (`pack_threads`), so that their number decides nothing either;
- attention sees one sequence at a time.

That is a property of the kernels and not a law, so it is tried when a model is loaded
(`PackedEncoder.invariant`); where it fails, each sequence is a pack of its own.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from darling_models.protocol import IntArray
from darling_models.runtime.gpu_packs import PackSizes
from darling_models.runtime.linear import Linear
from darling_models.runtime.pack_threads import Workers
from darling_models.runtime.varlen import Packing, attend

log = logging.getLogger(__name__)

PACK_TOKENS = 1024
"""Tokens of a pack on a CPU: about as much as its cache holds."""
ROWS = 16
"""Rows of every matrix are a multiple of this: with a few left over, kernels round otherwise."""
FUSED_STEP, FUSED_BELOW = 16, 64
"""Lengths for which torch's fused attention is good on a CPU in float32: multiples of its vectors
(the rest it takes number by number), and short ones."""
SCORES = 2**20
"""Attention scores computed at a time without fusion: about as many as a CPU's cache holds."""
TRIAL_LENGTHS = (3, 4, 17, 17, 41, 64, 130, 300)

Norm = tuple[Tensor, Tensor]
"""Weight and bias."""


@dataclass(frozen=True, slots=True)
class Layer:
    query: Linear
    key_value: Linear
    """Keys and values as one product."""
    attended: Linear
    attended_norm: Norm
    up: Linear
    down: Linear
    norm: Norm


@dataclass(frozen=True, slots=True)
class Shape:
    """What the weights do not say."""

    heads: int
    layers: int
    epsilon: float
    pad: int | None = None
    """RoBERTa's way: positions start behind this token's id, and it has itself no position."""

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "Shape | None":
        """The shape in a Hugging Face config; None for an architecture not computed here."""
        kind = config.get("model_type")
        plain = (
            kind in ("bert", "roberta", "xlm-roberta", "camembert")
            and config.get("hidden_act") == "gelu"
            and config.get("position_embedding_type", "absolute") == "absolute"
            and not config.get("is_decoder", False)
        )
        if not plain:
            return None
        return cls(
            heads=int(config["num_attention_heads"]),
            layers=int(config["num_hidden_layers"]),
            epsilon=float(config["layer_norm_eps"]),
            pad=None if kind == "bert" else int(config["pad_token_id"]),
        )


class PackedEncoder:
    """Read-only after it is made; weights have the names of `transformers.BertModel`."""

    def __init__(self, weights: Mapping[str, Tensor], shape: Shape, device: str = "cpu") -> None:
        """Raises `KeyError` if a weight is missing. Computes in the weights' own precision."""

        def norm(name: str) -> Norm:
            return weights[f"{name}.weight"].to(device), weights[f"{name}.bias"].to(device)

        def linear(*names: str) -> Linear:
            pairs = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names]
            weight, bias = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
            return Linear(weight, bias, device)

        self._shape = shape
        self._device = device
        self._words, self._places, self._segments = (
            weights[f"embeddings.{name}_embeddings.weight"].to(device)
            for name in ("word", "position", "token_type")
        )
        self._norm = norm("embeddings.LayerNorm")
        self._layers = []
        for number in range(shape.layers):
            name = f"encoder.layer.{number}"
            inside = f"{name}.attention.self"
            self._layers.append(
                Layer(
                    query=linear(f"{inside}.query"),
                    key_value=linear(f"{inside}.key", f"{inside}.value"),
                    attended=linear(f"{name}.attention.output.dense"),
                    attended_norm=norm(f"{name}.attention.output.LayerNorm"),
                    up=linear(f"{name}.intermediate.dense"),
                    down=linear(f"{name}.output.dense"),
                    norm=norm(f"{name}.output.LayerNorm"),
                )
            )
        self.width = int(self._words.shape[1])
        self.head_width = self.width // shape.heads
        self.vocabulary = int(self._words.shape[0])
        self._workers = Workers(torch.get_num_threads() if device == "cpu" else 1)
        self._pack_tokens = PACK_TOKENS
        self._sizes: PackSizes | None = None
        if self._words.is_cuda:
            self._sizes = PackSizes.alike(self._tried, self.vocabulary)
            self._pack_tokens = self._sizes.sizes[-1]
            log.info("%s", self._sizes)
        if not self.invariant():
            log.warning("matrix kernels here round by batch: every text runs by itself, slower")
            self._pack_tokens = 1

    def invariant(self) -> bool:
        """Whether sequences in one pack get the bits that each gets alone."""
        source = np.random.default_rng(0)
        longest = len(self._places) - 1 - (self._shape.pad or 0)
        lengths = [min(length, longest) for length in TRIAL_LENGTHS]
        trial = [source.integers(0, self.vocabulary, (1, length)) for length in lengths]
        for run in (self.hidden, self.first):
            together = dict(run(trial))
            alone = (next(run([sequence]))[1] for sequence in trial)
            if not all(torch.equal(together[i], rows) for i, rows in enumerate(alone)):
                return False
        return True

    def _tried(self, sequences: Sequence[IntArray], sizes: PackSizes) -> Tensor:
        self._sizes = sizes
        with torch.inference_mode():
            return self._run([ids[None] for ids in sequences], first_only=False)

    def hidden(self, sequences: Sequence[IntArray]) -> Iterator[tuple[int, Tensor]]:
        """Yields (index, last hidden states (length, hidden)) for every sequence.

        A sequence has shape (channels, length): token ids, and segment ids where there are any.
        """
        for pack, rows in self._each(sequences, first_only=False):
            lengths = [sequences[index].shape[1] for index in pack]
            yield from zip(pack, torch.split(rows, lengths), strict=True)

    def first(self, sequences: Sequence[IntArray]) -> Iterator[tuple[int, Tensor]]:
        """Yields (index, last hidden state (hidden,) of the first token), with less work."""
        for pack, rows in self._each(sequences, first_only=True):
            yield from zip(pack, rows, strict=True)

    def _each(
        self, sequences: Sequence[IntArray], first_only: bool
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Yields (indices, result) of every pack."""

        def run(pack: Sequence[int]) -> Tensor:
            with torch.inference_mode():
                return self._run([sequences[index] for index in pack], first_only)

        packs = self._packs([sequence.shape[1] for sequence in sequences])
        return zip(packs, self._workers.map(run, packs), strict=True)

    def _packs(self, lengths: Sequence[int]) -> list[list[int]]:
        """Packs of indices with about as many tokens each, their number a multiple of the workers'.

        Inside a pack the shortest sequences come first, so that equal lengths attend together.
        """
        if self._sizes is not None and self._pack_tokens > 1:
            return list(self._sizes.packs(lengths))
        most = self._pack_tokens * self._workers.count
        count = min(-(-sum(lengths) // most) * self._workers.count, len(lengths))
        packs: list[list[int]] = [[] for _ in range(count)]
        loads = [(0, number) for number in range(count)]
        for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            load, number = heappop(loads)
            packs[number].append(index)
            heappush(loads, (load + lengths[index], number))
        return [pack[::-1] for pack in packs]

    def _run(self, sequences: Sequence[IntArray], first_only: bool) -> Tensor:
        """(tokens, hidden) of the pack, or (sequences, hidden) of the first tokens."""
        lengths = [sequence.shape[1] for sequence in sequences]
        x = self._embed(sequences, sum(lengths))
        if self._sizes:
            return self._run_on_gpu(x, lengths, first_only)
        for layer in self._layers[:-1]:
            x = self._finish(layer, x, self._attend(layer, x, lengths))
        last = self._layers[-1]
        if not first_only:
            return self._finish(last, x, self._attend(last, x, lengths))[: sum(lengths)]
        firsts = np.zeros(self._rows(len(lengths)), dtype=np.int64)
        firsts[: len(lengths)] = np.cumsum([0, *lengths[:-1]])
        first = x[torch.from_numpy(firsts).to(self._device)]
        return self._finish(last, first, self._attend(last, x, lengths, first))[: len(lengths)]

    def _run_on_gpu(self, x: Tensor, lengths: Sequence[int], first_only: bool) -> Tensor:
        """Every row of the last layer is computed: a product of few rows rounds otherwise."""
        packing = Packing.of(lengths, self._device) if x.dtype != torch.float32 else None
        for layer in self._layers:
            x = self._finish(layer, x, self._attend(layer, x, lengths, packing=packing))
        if not first_only:
            return x[: sum(lengths)]
        firsts = torch.from_numpy(np.cumsum([0, *lengths[:-1]]))
        return x[firsts.to(self._device)]

    def _embed(self, sequences: Sequence[IntArray], tokens: int) -> Tensor:
        inputs = np.zeros((3, self._rows(tokens)), dtype=np.int64)
        ids, types, places = inputs[:, :tokens]
        ids[:] = np.concatenate([sequence[0] for sequence in sequences])
        if len(sequences[0]) > 1:
            types[:] = np.concatenate([sequence[1] for sequence in sequences])
        places[:] = np.concatenate([self._positions(sequence[0]) for sequence in sequences])
        tensors = torch.from_numpy(inputs).to(self._device)
        x = functional.embedding(tensors[0], self._words)
        x += functional.embedding(tensors[1], self._segments)
        x += functional.embedding(tensors[2], self._places)
        return self._normed(x, self._norm)

    def _positions(self, ids: IntArray) -> IntArray:
        if self._shape.pad is None:
            return np.arange(len(ids))
        held = ids != self._shape.pad
        places: IntArray = np.cumsum(held) * held + self._shape.pad
        return places

    def _attend(
        self,
        layer: Layer,
        x: Tensor,
        lengths: Sequence[int],
        first: Tensor | None = None,
        packing: Packing | None = None,
    ) -> Tensor:
        """Attention's mixes of values, (rows, hidden): one for each token, or with `first`, which
        holds one row of each sequence, for each of these."""
        heads = self._shape.heads
        query_rows = x if first is None else first
        queries = layer.query(query_rows).view(len(query_rows), heads, -1)
        keys_values = layer.key_value(x).view(len(x), 2, heads, -1)
        if packing is not None:
            scale = self.head_width**-0.5
            keys, values = keys_values.unbind(1)
            return attend(queries, keys, values, packing, scale).view_as(x)
        mixed = torch.zeros_like(query_rows).view_as(queries)
        start = query_start = 0
        for length, alike in groupby(lengths):
            left = len(list(alike))
            most = left if _fused(x, length) else _unfused_at_once(x, heads, length)
            while left:
                count = min(left, most)
                end = start + count * length
                query_end = query_start + (count * length if first is None else count)
                query = queries[query_start:query_end].view(count, -1, heads, self.head_width)
                block = keys_values[start:end].view(count, length, 2, heads, self.head_width)
                attended = _attention(query.transpose(1, 2), *block.permute(2, 0, 3, 1, 4))
                mixed[query_start:query_end].view_as(query).copy_(attended.transpose(1, 2))
                start, query_start, left = end, query_end, left - count
        return mixed.view_as(query_rows)

    def _finish(self, layer: Layer, x: Tensor, mixed: Tensor) -> Tensor:
        x = self._normed(layer.attended.plus(mixed, x), layer.attended_norm)
        return self._normed(layer.down.plus(layer.up.gelu(x), x), layer.norm)

    def _rows(self, wanted: int) -> int:
        """Rows of a matrix that holds `wanted`: on a CPU so many that none is left with a few."""
        return -(-wanted // ROWS) * ROWS if self._sizes is None else self._sizes.rows(wanted)

    def _normed(self, x: Tensor, norm: Norm) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], *norm, self._shape.epsilon)


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention, each (sequences, heads, length, width)."""
    *_, length, width = key.shape
    if query.shape[2] == 1 < length:
        # A single row goes through other kernels, which round by batch.
        return _attention(query.expand(-1, -1, ROWS, -1), key, value)[:, :, :1]
    if _fused(query, length):
        return functional.scaled_dot_product_attention(query, key, value)
    scores = torch.matmul(query * width**-0.5, key.transpose(-2, -1))
    return torch.matmul(torch.softmax(scores, -1, out=scores), value)


def _fused(x: Tensor, length: int) -> bool:
    """Whether torch's fused attention is at least as fast as plain products, which are up to twice
    as fast on a CPU in bfloat16 and at odd lengths."""
    good = length % FUSED_STEP == 0 or length < FUSED_BELOW
    return x.device.type != "cpu" or (x.dtype == torch.float32 and good)


def _unfused_at_once(x: Tensor, heads: int, length: int) -> int:
    """Sequences that attend together. In float32 batched products round by their number."""
    return 1 if x.dtype == torch.float32 else max(SCORES // (heads * length**2), 1)
