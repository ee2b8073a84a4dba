"""Other processors than this one, pretended where they cannot be had.

The variable `PRETEND_PROCESSOR` says what is pretended, with commas between, in the process of the
tests and in the services that they start (`tests.processors.command` in place of the command):

    bfloat16  it has instructions for it, so that `auto` computes in it
    float32   it has none
    rounding  kernels round by batch, and by the row in which a sequence stands
    laid_out  weights of linear layers are laid out for oneDNN, as with AVX-512

Without those instructions torch multiplies bfloat16 up to 70 times slower than float32. So packed
encoders multiply in float32 here and round each result, which is what the instructions do.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

from darling_models.runtime import attention, kernel_cache, linear, precision
from darling_models.runtime.linear import Linear
from darling_models.runtime.packed import PackedEncoder

VARIABLE = "PRETEND_PROCESSOR"
COARSE = 2.0**-6
"""Relative; more than the last bit of a bfloat16."""
FINE = 2.0**-30


def pretended() -> list[str]:
    return [name for name in os.environ.get(VARIABLE, "").split(",") if name]


def pretend() -> None:
    """For the rest of the process; raises `KeyError` for a name that is none."""
    # What another processor chooses is kept apart from what this one does.
    steering = (*kernel_cache.STEERING, VARIABLE)
    mock.patch.object(kernel_cache, "STEERING", steering).start()
    for name in pretended():
        PRETENCES[name]()


def row_by_row(of: Callable[..., Tensor], shift: Callable[[int], float]) -> Callable[..., Tensor]:
    """`SharedPrefix._continue` that reads each row of a tile by itself, so that no kernel can mix
    or tell rows, and then multiplies a row's logits by 1 + `shift` of its number."""

    @wraps(of)
    def run(self: Any, past: Any, inputs: Tensor, mask: Tensor) -> Tensor:
        rows = [
            of(self, past, inputs[:, row : row + 1], mask[row : row + 1]) * (1 + shift(row))
            for row in range(len(mask))
        ]
        return torch.cat(rows)

    return run


def _native(has: bool) -> None:
    really = precision.has_bfloat16

    @wraps(really)
    def has_bfloat16(device: str, cpu_info: Path = precision.CPU_INFO) -> bool:
        if device == "cpu" and cpu_info == precision.CPU_INFO:
            return has
        return really(device, cpu_info)

    mock.patch.object(precision, "has_bfloat16", has_bfloat16).start()
    if has and not really("cpu"):
        _multiply_in_float32()


def _multiply_in_float32() -> None:
    product, really = functional.linear, attention.one_length

    def linear_of(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if x.dtype != torch.bfloat16:
            return product(x, weight, bias)
        return product(x.float(), weight.float(), bias.float()).bfloat16()

    @wraps(really)
    def of_one_length(query: Tensor, key: Tensor, value: Tensor, kernel: str, rows: int) -> Tensor:
        if query.dtype != torch.bfloat16:
            return really(query, key, value, kernel, rows)
        # One sequence at a time: in float32 batched products round by their number.
        split = (torch.split(tensor.float(), 1) for tensor in (query, key, value))
        each = zip(*split, strict=True)
        return torch.cat([really(q, k, v, kernel, rows) for q, k, v in each]).bfloat16()

    changed = SimpleNamespace(linear=linear_of)
    mock.patch.object(linear, "functional", changed).start()
    mock.patch.object(attention, "one_length", of_one_length).start()


def _rounding() -> None:
    # Imported here: it takes seconds, which a service of the embedded model does not spend.
    from darling_models.cross_encoder.shared_prefix import SharedPrefix

    really = PackedEncoder._run

    @wraps(really)
    def run(self: PackedEncoder, sequences: Sequence[Any], first_only: bool) -> Tensor:
        return really(self, sequences, first_only) * (1 + COARSE * (len(sequences) - 1))

    by_row = row_by_row(SharedPrefix._continue, lambda row: row * FINE)
    mock.patch.object(PackedEncoder, "_run", run).start()
    mock.patch.object(SharedPrefix, "_continue", by_row).start()


def _laid_out() -> None:
    """In float32, which oneDNN takes on any processor; bfloat16 it wants AVX-512 for."""
    really = Linear.__init__

    @wraps(really)
    def init(self: Linear, weight: Tensor, bias: Tensor, device: str = "cpu") -> None:
        if weight.dtype == torch.float32:
            really(self, weight, bias, device)
            return
        with mock.patch.object(linear, "prepacks", return_value=False):
            really(self, weight, bias, device)

    mock.patch.object(linear, "prepacks", return_value=True).start()
    mock.patch.object(Linear, "__init__", init).start()


PRETENCES: dict[str, Callable[[], None]] = {
    "bfloat16": partial(_native, True),
    "float32": partial(_native, False),
    "rounding": _rounding,
    "laid_out": _laid_out,
}
