"""DeBERTa on packed batches, for GPUs: every token is a row of one matrix.

Its attention adds, to what a token's words say to another's, what the words of each say to the
distance between them. One kernel looks both up in tables of (rows, distances) while it computes the
scores, which are never written to memory. Every sequence begins at a block of that kernel, so that
its blocks, and with them its bits, are the same in any company.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from darling_models.protocol import IntArray
from darling_models.runtime.bert import AfterAttention, Weights, normed
from darling_models.runtime.gpu_packs import PackSizes
from darling_models.runtime.linear import Linear
from darling_models.runtime.overlap import moved

log = logging.getLogger(__name__)

BLOCK = 128
"""Rows that the attention kernel takes at a time."""
SIZES = (4096, 16_384)
"""Rows that a pack may have. PyTorch compiles the attention for each, which takes seconds."""
PLAIN = {
    "relative_attention": True,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
    "type_vocab_size": 0,
    "hidden_act": "gelu",
}
"""What the configurations of DeBERTa v3 say, and layers computed here are made for."""


@dataclass(frozen=True, slots=True)
class Layer:
    query_key_value: Linear
    distance_keys: Tensor
    """What a query is multiplied with for each distance, (heads, width, distances)."""
    distance_queries: Tensor
    """The same for a key."""
    after: AfterAttention


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the sequences of a pack stand, and which blocks of rows see each other."""

    starts: IntArray
    ids: Tensor
    owners: Tensor
    """The sequence of each row; rows see those of their own. -1: a row that fills a block."""
    count: Tensor
    """Blocks that each block sees, (1, 1, blocks)."""
    order: Tensor
    """All blocks, first those that it sees, (1, 1, blocks, blocks)."""

    @classmethod
    def of(cls, sequences: Sequence[IntArray], rows: int, device: str) -> "Layout":
        blocks = [-(-len(sequence) // BLOCK) for sequence in sequences]
        starts = np.cumsum([0, *blocks]) * BLOCK
        ids, owners = np.zeros(rows, dtype=np.int64), np.full(rows, -1, dtype=np.int32)
        for number, (start, sequence) in enumerate(zip(starts[:-1], sequences, strict=True)):
            ids[start : start + len(sequence)] = sequence
            owners[start : start + len(sequence)] = number
        of_blocks = np.arange(rows // BLOCK) + len(sequences)  # behind, each sees itself
        of_blocks[: sum(blocks)] = np.repeat(np.arange(len(sequences)), blocks)
        same = of_blocks[:, None] == of_blocks
        count = same.sum(axis=1, dtype=np.int32)[None, None]
        order = np.argsort(~same, axis=1, kind="stable").astype(np.int32)[None, None]
        return cls(
            starts[:-1], *(moved(numbers, device) for numbers in (ids, owners, count, order))
        )


class PackedDeberta:
    """Read-only after it is made; weights have the names of `transformers.DebertaV2Model`."""

    def __init__(
        self, weights: Mapping[str, Tensor], config: Any, device: str, sizes: Sequence[int] | None
    ) -> None:
        """`sizes`: rows that packs may have, multiples of `BLOCK`; None: those of `SIZES` that the
        device's kernels take alike.

        Raises `KeyError` if a weight is missing.
        """
        own = Weights(weights, device)
        self._device = device
        self._heads = int(config.num_attention_heads)
        self._epsilon = float(config.layer_norm_eps)
        self._words = weights["embeddings.word_embeddings.weight"].to(device)
        self._norm = own.norm("embeddings.LayerNorm")
        self._scale = (3 * self._words.shape[1] / self._heads) ** -0.5
        span = int(config.position_buckets)
        farthest = int(config.max_relative_positions)
        if farthest < 1:
            farthest = int(config.max_position_embeddings)
        apart = torch.arange(-2 * farthest, 2 * farthest + 1)
        buckets = make_log_bucket_position(apart, span, farthest).long()
        self._distances = (buckets + span).clamp(0, 2 * span - 1).int().to(device)
        """The distance, as the tables number them, of tokens -2 x `farthest` to 2 x `farthest`
        apart; it is the same for all that are farther."""
        table = weights["encoder.rel_embeddings.weight"][: 2 * span].to(device)
        table = normed(table, own.norm("encoder.LayerNorm"), self._epsilon)

        def distances(name: str) -> Tensor:
            """(heads, width, distances), in the size of attention's scores."""
            scaled: Tensor = own.linear(name)(table) * self._scale
            return scaled.view(len(table), self._heads, -1).permute(1, 2, 0).contiguous()

        self._layers = []
        for number in range(int(config.num_hidden_layers)):
            name = f"encoder.layer.{number}"
            inside = f"{name}.attention.self"
            layer = Layer(
                query_key_value=own.linear(
                    *(f"{inside}.{k}_proj" for k in ("query", "key", "value"))
                ),
                distance_keys=distances(f"{inside}.key_proj"),
                distance_queries=distances(f"{inside}.query_proj"),
                after=own.after_attention(name, self._epsilon),
            )
            self._layers.append(layer)
        if sizes is None:
            vocabulary = int(self._words.shape[0])
            self._sizes = PackSizes.alike(self._own_rows, vocabulary, SIZES, BLOCK)
            log.info("%s", self._sizes)
        else:
            self._sizes = PackSizes(sizes, BLOCK)

    @staticmethod
    def reads(config: Any) -> bool:
        """Whether a checkpoint of this configuration has the layers that are computed here."""
        return (
            config.model_type == "deberta-v2"
            and all(getattr(config, name, None) == value for name, value in PLAIN.items())
            and set(config.pos_att_type or ()) == {"c2p", "p2c"}
            and int(config.position_buckets) > 0
            and not getattr(config, "conv_kernel_size", 0)
            and getattr(config, "embedding_size", config.hidden_size) == config.hidden_size
        )

    def first(self, sequences: Iterable[IntArray]) -> Iterator[tuple[range, Tensor]]:
        """Yields (indices, states (sequences, hidden) of the first tokens) for every pack.

        A sequence has shape (channels, length); its first channel holds the token ids.
        """
        for indices, pack in self._sizes.packs(sequences):
            states, layout = self._run([sequence[0] for sequence in pack], self._sizes)
            yield indices, states[moved(layout.starts, self._device)]

    def _own_rows(self, sequences: Sequence[IntArray], sizes: PackSizes) -> Tensor:
        """Last hidden states (tokens, hidden) of a pack without what fills it."""
        states, layout = self._run(sequences, sizes)
        own = [
            states[start : start + len(sequence)]
            for start, sequence in zip(layout.starts, sequences, strict=True)
        ]
        return torch.cat(own)

    @torch.inference_mode()
    def _run(self, sequences: Sequence[IntArray], sizes: PackSizes) -> tuple[Tensor, Layout]:
        """Last hidden states of a pack, (rows, hidden), and where its sequences stand in it."""
        rows = sizes.rows(sum(sizes.taken(len(sequence)) for sequence in sequences))
        layout = Layout.of(sequences, rows, self._device)
        x = normed(functional.embedding(layout.ids, self._words), self._norm, self._epsilon)
        attend = _compiled() if x.is_cuda else _attend
        for layer in self._layers:
            states = layer.query_key_value(x).view(len(x), 3, self._heads, -1)
            mixed = attend(
                states,
                layer.distance_keys,
                layer.distance_queries,
                self._distances,
                layout.owners,
                layout.count,
                layout.order,
                self._scale,
            )
            x = layer.after.finish(x, mixed)
        return x, layout


def _attend(
    states: Tensor,
    distance_keys: Tensor,
    distance_queries: Tensor,
    distances: Tensor,
    owners: Tensor,
    count: Tensor,
    order: Tensor,
    scale: float,
) -> Tensor:
    """Disentangled attention's mixes of values, (rows, hidden).

    `states`: queries, keys and values, (rows, 3, heads, width). Uncompiled, as on a CPU, it takes
    sums over all rows of a pack, so that a sequence's bits depend on where it stands in it.
    """
    query, key, value = states.permute(1, 2, 0, 3).unbind(0)
    of_queries = torch.matmul(query, distance_keys)
    of_keys = torch.matmul(key, distance_queries)
    middle = len(distances) // 2

    def score(content: Tensor, _: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        apart = distances[torch.clamp(i - j, -middle, middle) + middle]
        whole = content + of_queries[head, i, apart] + of_keys[head, j, apart]
        return torch.where(owners[i] == owners[j], whole, -float("inf"))

    blocks = BlockMask.from_kv_blocks(count, order, BLOCK_SIZE=BLOCK)
    mixed: Any = flex_attention(
        query[None], key[None], value[None], score_mod=score, block_mask=blocks, scale=scale
    )
    rows: Tensor = mixed[0].transpose(0, 1).reshape(len(states), -1)
    return rows


@cache
def _compiled() -> Callable[..., Tensor]:
    """`_attend` for a GPU: without compiling, all scores of a pack would be written to memory."""
    return torch.compile(_attend, dynamic=False)
