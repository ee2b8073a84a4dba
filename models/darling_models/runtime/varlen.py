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

from darling_models.runtime.overlap import moved

FILLER = 128
"""Tokens at most in each of the sequences that the rows behind the last one are taken for: about
what the kernel works through at a time, so that they cost little."""


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the sequences of a pack stand. The rows behind them are sequences too, which nobody
    reads: the kernel then needs no part of a matrix, and writes all of its result."""

    starts: Tensor
    """Rows at which the sequences start, and the one past the last; int32, (sequences + 1,)."""
    longest: int

    @classmethod
    def of(cls, lengths: Sequence[int], rows: int, device: str) -> "Packing":
        left = rows - sum(lengths)
        filled = [*lengths, *[FILLER] * (left // FILLER)]
        if left % FILLER:
            filled.append(left % FILLER)
        starts = np.cumsum([0, *filled], dtype=np.int32)
        return cls(moved(starts, device), max(filled))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packing: Packing,
    scale: float,
    window: int | None = None,
) -> Tensor:
    """Softmax attention, each (rows, heads, width).

    `window`: how many tokens away on each side a token sees; None: the whole sequence.
    """
    if query.is_cuda:
        starts, side = packing.starts, -1 if window is None else window
        # For a pack of short sequences the kernel would leave the window out.
        longest = packing.longest if window is None else max(packing.longest, window + 1)
        # The public function around this operator, `varlen_attn`, takes other arguments in every
        # release of PyTorch.
        mixed: Tensor = torch.ops.aten._flash_attention_forward(
            query,
            key,
            value,
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
    mixed = torch.empty_like(query)
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
