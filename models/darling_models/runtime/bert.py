"""The weights of a BERT-style encoder, as packed batches multiply them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from darling_models.runtime.linear import Linear

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

    def norm(name: str) -> Norm:
        return weights[f"{name}.weight"].to(device), weights[f"{name}.bias"].to(device)

    def linear(*names: str) -> Linear:
        pairs = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names]
        weight, bias = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
        return Linear(weight, bias, device)

    def layer(name: str) -> Layer:
        inside = f"{name}.attention.self"
        return Layer(
            query=linear(f"{inside}.query"),
            key_value=linear(f"{inside}.key", f"{inside}.value"),
            attended=linear(f"{name}.attention.output.dense"),
            attended_norm=norm(f"{name}.attention.output.LayerNorm"),
            up=linear(f"{name}.intermediate.dense"),
            down=linear(f"{name}.output.dense"),
            norm=norm(f"{name}.output.LayerNorm"),
        )

    tables = Tables(
        *(
            weights[f"embeddings.{name}_embeddings.weight"].to(device)
            for name in ("word", "position", "token_type")
        )
    )
    layers = [layer(f"encoder.layer.{number}") for number in range(shape.layers)]
    return tables, norm("embeddings.LayerNorm"), layers
