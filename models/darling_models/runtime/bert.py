"""The weights of a BERT-style encoder, as packed batches multiply them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from darling_models.runtime.linear import Linear

Norm = tuple[Tensor, Tensor]
"""Weight and bias."""


def normed(x: Tensor, norm: Norm, epsilon: float) -> Tensor:
    """Layer norm of rows (rows, hidden)."""
    return functional.layer_norm(x, x.shape[-1:], *norm, epsilon)


@dataclass(frozen=True, slots=True)
class AfterAttention:
    """What a layer does once its attention has mixed the values."""

    attended: Linear
    attended_norm: Norm
    up: Linear
    down: Linear
    norm: Norm
    epsilon: float
    """Of both norms."""

    def finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        """The layer's result from its input and the mixes of values, each (rows, hidden)."""
        x = normed(self.attended.plus(mixed, x), self.attended_norm, self.epsilon)
        return normed(self.down.plus(self.up.gelu(x), x), self.norm, self.epsilon)


@dataclass(frozen=True, slots=True)
class Layer:
    query: Linear
    key_value: Linear
    """Keys and values as one product."""
    after: AfterAttention

    def products(self, x: Tensor) -> Tensor:
        """The results of all products for the rows of x (rows, hidden), side by side."""
        return torch.cat([self.query(x), self.key_value(x), self.after.finish(x, x)], dim=1)


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights with the names that Transformers' models of BERT's kind share, for a device. Its
    methods raise `KeyError` if one is missing."""

    tensors: Mapping[str, Tensor]
    device: str

    def norm(self, name: str) -> Norm:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return weight.to(self.device), bias.to(self.device)

    def linear(self, *names: str) -> Linear:
        """The layers of these names as one product."""
        pairs = [(self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]) for name in names]
        weight, bias = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
        return Linear(weight, bias, self.device)

    def after_attention(self, layer: str, epsilon: float) -> AfterAttention:
        return AfterAttention(
            attended=self.linear(f"{layer}.attention.output.dense"),
            attended_norm=self.norm(f"{layer}.attention.output.LayerNorm"),
            up=self.linear(f"{layer}.intermediate.dense"),
            down=self.linear(f"{layer}.output.dense"),
            norm=self.norm(f"{layer}.output.LayerNorm"),
            epsilon=epsilon,
        )


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


@dataclass(frozen=True, slots=True)
class Tables:
    """Embeddings by token id, position and segment, each (rows, hidden)."""

    words: Tensor
    places: Tensor
    segments: Tensor


def read(
    weights: Mapping[str, Tensor], shape: Shape, device: str
) -> tuple[Tables, Norm, list[Layer]]:
    """(embeddings, their layer norm, layers) from weights with the names of
    `transformers.BertModel`. Raises `KeyError` if one is missing."""
    own = Weights(weights, device)

    def layer(name: str) -> Layer:
        inside = f"{name}.attention.self"
        return Layer(
            query=own.linear(f"{inside}.query"),
            key_value=own.linear(f"{inside}.key", f"{inside}.value"),
            after=own.after_attention(name, shape.epsilon),
        )

    tables = Tables(
        *(
            weights[f"embeddings.{name}_embeddings.weight"].to(device)
            for name in ("word", "position", "token_type")
        )
    )
    layers = [layer(f"encoder.layer.{number}") for number in range(shape.layers)]
    return tables, own.norm("embeddings.LayerNorm"), layers
