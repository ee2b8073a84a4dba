"""Linear layers over many rows, by the fastest products that the machine has.

With AVX-512 those are oneDNN's, with weights laid out for it once and GELU and residual fused: 1.15
times the rate of torch's own products in float32 and 1.1 times in bfloat16 (two cores of a Zen 4).
Elsewhere, and on a GPU, they are torch's.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

ROWS = 1024
"""Rows of input, a pack's, for which oneDNN lays weights out; any number gives the same results."""


class Linear:
    """x W' + b for x of shape (rows, inputs)."""

    def __init__(self, weight: Tensor, bias: Tensor, device: str = "cpu") -> None:
        self.outputs = len(bias)
        self._weight, self._bias = weight.to(device), bias.to(device)
        self._prepacked = device == "cpu" and prepacks()
        if self._prepacked:
            self._weight = _onednn()._reorder_linear_weight(self._weight.contiguous(), ROWS)

    def __call__(self, x: Tensor) -> Tensor:
        if self._prepacked:
            return self._fused(x, "none")
        return functional.linear(x, self._weight, self._bias)

    def gelu(self, x: Tensor) -> Tensor:
        """GELU of the result, the exact one."""
        if self._prepacked:
            return self._fused(x, "gelu")
        # In place: a second matrix of this size costs more than its GELU.
        done: Tensor = torch.ops.aten.gelu_(functional.linear(x, self._weight, self._bias))
        return done

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """The result and `residual`, of its shape."""
        if self._prepacked:
            added: Tensor = _onednn()._linear_pointwise.binary(
                x, residual, self._weight, self._bias, "add"
            )
            return added
        return functional.linear(x, self._weight, self._bias).add_(residual)

    def _fused(self, x: Tensor, then: str) -> Tensor:
        done: Tensor = _onednn()._linear_pointwise(
            x, self._weight, self._bias, then, [], "none" if then == "gelu" else ""
        )
        return done


def prepacks() -> bool:
    """Whether a CPU's weights are laid out for oneDNN; by its instructions, so that equal machines
    round equally."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and bool(
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def _onednn() -> Any:
    """The namespace of the oneDNN operators that torch's own compiler calls."""
    return torch.ops.mkldnn
