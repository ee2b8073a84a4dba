"""ModernBERT on packed batches, for GPUs: every token is a row of one matrix, and none is padding.

A pack is filled up to one of a few numbers of rows, whose kernels give a row the same bits; which
they are is tried when the model is loaded. Attention sees one sequence at a time (`varlen`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from darling_models.protocol import IntArray
from darling_models.runtime.fused import gated, rotated
from darling_models.runtime.gpu_packs import PackSizes
from darling_models.runtime.overlap import moved
from darling_models.runtime.varlen import Packing, attend

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Layer:
    attention_norm: tuple[Tensor, Tensor | None] | None
    """Weight and bias; the first layer has none."""
    query_key_value: tuple[Tensor, Tensor | None]
    attended: tuple[Tensor, Tensor | None]
    norm: tuple[Tensor, Tensor | None]
    up: tuple[Tensor, Tensor | None]
    """To twice the inner width: a value and its gate."""
    down: tuple[Tensor, Tensor | None]
    window: int | None
    """Tokens on each side that a token sees; None: all."""


class PackedModernBert:
    """Read-only after it is made; weights have the names of `transformers.ModernBertModel`."""

    def __init__(
        self, weights: Mapping[str, Tensor], config: Any, device: str, sizes: Sequence[int] | None
    ) -> None:
        """`sizes`: rows that packs may have; None: those that the device's kernels take alike.

        Raises `KeyError` if a weight is missing.
        """

        def pair(name: str) -> tuple[Tensor, Tensor | None]:
            bias = weights.get(f"{name}.bias")
            return weights[f"{name}.weight"].to(device), None if bias is None else bias.to(device)

        self._device = device
        self._heads = int(config.num_attention_heads)
        self._epsilon = float(config.norm_eps)
        self._mean = getattr(config, "classifier_pooling", "cls") == "mean"
        self._words = weights["embeddings.tok_embeddings.weight"].to(device)
        self._norm, self._last_norm = pair("embeddings.norm"), pair("final_norm")
        self._layers = []
        for number, kind in enumerate(config.layer_types):
            name = f"layers.{number}"
            layer = Layer(
                attention_norm=pair(f"{name}.attn_norm") if number else None,
                query_key_value=pair(f"{name}.attn.Wqkv"),
                attended=pair(f"{name}.attn.Wo"),
                norm=pair(f"{name}.mlp_norm"),
                up=pair(f"{name}.mlp.Wi"),
                down=pair(f"{name}.mlp.Wo"),
                window=int(config.sliding_window) if kind == "sliding_attention" else None,
            )
            self._layers.append(layer)
        width = self._words.shape[1] // self._heads
        self._turns = {
            layer.window: _turns(
                float(config.rope_parameters[kind]["rope_theta"]),
                width,
                int(config.max_position_embeddings),
                self._words,
            )
            for layer, kind in zip(self._layers, config.layer_types, strict=True)
        }
        if sizes is None:
            self._sizes = PackSizes.alike(self._run, int(self._words.shape[0]))
            log.info("%s", self._sizes)
        else:
            self._sizes = PackSizes(sizes)

    def first(self, sequences: Iterable[IntArray]) -> Iterator[tuple[range, Tensor]]:
        """Yields (indices, states (sequences, hidden) that the head reads) for every pack: those of
        the first tokens, or the means of all.

        A sequence has shape (channels, length); its first channel holds the token ids.
        """
        for indices, pack in self._sizes.packs(sequences):
            lengths = [sequence.shape[1] for sequence in pack]
            states = self._run([sequence[0] for sequence in pack], self._sizes)
            if self._mean:
                # One by one: a sum over several would round by their number.
                own = torch.split(states[: sum(lengths)], lengths)
                read = torch.stack([rows.mean(0) for rows in own])
            else:
                read = states[moved(np.cumsum([0, *lengths[:-1]]), self._device)]
            yield indices, read

    @torch.inference_mode()
    def _run(self, sequences: Sequence[IntArray], sizes: PackSizes) -> Tensor:
        """Last hidden states of a pack, (rows, hidden); those behind the sequences mean nothing."""
        lengths = [len(sequence) for sequence in sequences]
        inputs = np.zeros((2, sizes.rows(sum(lengths))), dtype=np.int64)
        ids, places = inputs[:, : sum(lengths)]
        ids[:] = np.concatenate(sequences)
        places[:] = np.concatenate([np.arange(length) for length in lengths])
        tensors = moved(inputs, self._device)
        turns = {
            window: (cosine[tensors[1]], sine[tensors[1]])
            for window, (cosine, sine) in self._turns.items()
        }
        packing = Packing.of(lengths, inputs.shape[1], self._device)
        x = self._normed(functional.embedding(tensors[0], self._words), self._norm)
        for layer in self._layers:
            x = self._layer(layer, x, turns[layer.window], packing)
        return self._normed(x, self._last_norm)

    def _layer(
        self, layer: Layer, x: Tensor, turns: tuple[Tensor, Tensor], packing: Packing
    ) -> Tensor:
        normed = x if layer.attention_norm is None else self._normed(x, layer.attention_norm)
        states = functional.linear(normed, *layer.query_key_value)
        states = states.view(len(x), 3, self._heads, -1)
        query, key = rotated(states, *turns)
        scale = query.shape[-1] ** -0.5
        mixed = attend(query, key, states[:, 2], packing, scale, layer.window)
        _add(x, mixed.view_as(x), layer.attended)
        inner = gated(functional.linear(self._normed(x, layer.norm), *layer.up))
        return _add(x, inner, layer.down)

    def _normed(self, x: Tensor, norm: tuple[Tensor, Tensor | None]) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], *norm, self._epsilon)


def _add(x: Tensor, update: Tensor, linear: tuple[Tensor, Tensor | None]) -> Tensor:
    """Adds the linear layer of `update` to x in one product, and returns x."""
    weight, bias = linear
    x.addmm_(update, weight.t())
    return x if bias is None else x.add_(bias)


def _turns(base: float, width: int, positions: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary position embedding, each (positions, width / 2)."""
    speeds = 1.0 / base ** (torch.arange(0, width, 2, dtype=torch.float) / width)
    angles = torch.arange(positions)[:, None].float() * speeds
    return angles.cos().to(like), angles.sin().to(like)
