"""Softmax attention over sequences that lie one behind the other, by the kernels of a choice.

A sequence gets the same bits in any company: the fused kernel takes one head of one sequence at a
time, and plain products either do not round by their number (tried when a model is loaded) or take
one sequence each. In float32 they always take one, because MKL rounds batched products by the size
of the batch.
"""

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional

from darling_models.runtime.kernels import Kernels

SCORES = 2**20
"""Attention scores computed at a time by plain products: about as many as a CPU's cache holds."""


def attend(
    queries: Tensor,
    keys_values: Tensor,
    lengths: Sequence[int],
    kernels: Kernels,
    first_only: bool = False,
) -> Tensor:
    """Attention's mixes of values, of the shape of `queries`.

    `keys_values`: (rows, 2, heads, width). `queries`: (rows, heads, width), one for each token, or
    with `first_only` one for each sequence. Rows behind the last stay zero.
    """
    heads, width = queries.shape[1:]
    mixed = torch.zeros_like(queries)
    start = query_start = 0
    for length, alike in groupby(lengths):
        left = len(list(alike))
        kernel = kernels.attention(length)
        most = _at_once(kernel, queries, length) or left
        while left:
            count = min(left, most)
            end = start + count * length
            query_end = query_start + (count if first_only else count * length)
            query = queries[query_start:query_end].view(count, -1, heads, width)
            block = keys_values[start:end].view(count, length, 2, heads, width)
            key, value = block.permute(2, 0, 3, 1, 4)
            attended = one_length(query.transpose(1, 2), key, value, kernel, kernels.least_rows)
            mixed[query_start:query_end].view_as(query).copy_(attended.transpose(1, 2))
            start, query_start, left = end, query_end, left - count
    return mixed


def one_length(query: Tensor, key: Tensor, value: Tensor, kernel: str, rows: int) -> Tensor:
    """Attention of sequences of one length, each (sequences, heads, length, width)."""
    *_, length, width = key.shape
    if query.shape[2] == 1 < length:
        # A single row goes through other kernels, which round by batch.
        return one_length(query.expand(-1, -1, rows, -1), key, value, kernel, rows)[:, :, :1]
    if kernel == "f":
        return functional.scaled_dot_product_attention(query, key, value)
    scores = torch.matmul(query * width**-0.5, key.transpose(-2, -1))
    return torch.matmul(torch.softmax(scores, -1, out=scores), value)


def _at_once(kernel: str, queries: Tensor, length: int) -> int | None:
    """Sequences that attend together; None: all of one length."""
    if kernel == "f":
        return None
    if kernel == "p" or queries.dtype == torch.float32:
        return 1
    return max(SCORES // (queries.shape[1] * length**2), 1)
