"""Attention over sequences that lie one behind the other, each seeing only itself.

On a GPU it is FlashAttention's kernel for sequences of varying length, which PyTorch carries. It
works through one sequence and head at a time, so that a sequence gets the same bits in any company.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the sequences of a pack stand."""

    starts: Tensor
    """Rows at which the sequences start, and the one past the last; int32, (sequences + 1,)."""
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, lengths: Sequence[int], device: str) -> "Packing":
        starts = np.cumsum([0, *lengths], dtype=np.int32)
        return cls(torch.from_numpy(starts).to(device), tuple(lengths))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packing: Packing,
    scale: float,
    window: int | None = None,
) -> Tensor:
    """Softmax attention, each (rows, heads, width). Rows behind the last sequence stay zero.

    `window`: how many tokens away on each side a token sees; None: the whole sequence.
    """
    mixed = torch.zeros_like(query)
    if query.is_cuda:
        rows, longest = sum(packing.lengths), max(packing.lengths)
        starts, side = packing.starts, -1 if window is None else window
        # The public function around this operator, `varlen_attn`, takes other arguments in every
        # release of PyTorch.
        mixed[:rows] = torch.ops.aten._flash_attention_forward(
            query[:rows],
            key[:rows],
            value[:rows],
            starts,
            starts,
            longest,
            longest,
            0.0,  # no dropout
            False,  # not causal
            return_debug_mask=False,
            scale=scale,
            window_size_left=side,
            window_size_right=side,
        )[0]
        return mixed
    for start, end in pairwise(packing.starts.tolist()):
        q, k, v = (states[None, start:end].transpose(1, 2) for states in (query, key, value))
        mask = _within(end - start, window)
        attended = functional.scaled_dot_product_attention(q, k, v, mask, scale=scale)
        mixed[start:end] = attended[0].transpose(0, 1)
    return mixed


def _within(length: int, window: int | None) -> Tensor | None:
    """(length, length): whether a token sees another; None where it sees all."""
    if window is None:
        return None
    places = torch.arange(length)
    near: Tensor = (places[:, None] - places).abs() <= window
    return near
