"""Elementwise steps of ModernBERT's layers, each one kernel where PyTorch can compile it.

PyTorch compiles for a GPU with Triton and the system's C compiler. Without one, the same steps run
one after the other: right, but the encoder takes about twice the time.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

log = logging.getLogger(__name__)


def rotated(states: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys with their positions, each (rows, heads, width), of states (rows, 3, heads,
    width). Cosines and sines: (rows, width / 2)."""
    both: Tensor = _ROTATE(states, cosine, sine)
    return both[:, 0], both[:, 1]


def gated(states: Tensor) -> Tensor:
    """GELU of the first half of (rows, 2 x width), times the second half."""
    return _GATE(states)


def _rotate(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    left, right = states[:, :2].float().chunk(2, dim=-1)
    cosine, sine = cosine[:, None, None].float(), sine[:, None, None].float()
    turned = (left * cosine - right * sine, right * cosine + left * sine)
    return torch.cat(turned, dim=-1).to(states.dtype)


def _gate(states: Tensor) -> Tensor:
    value, gate = states.chunk(2, dim=-1)
    return functional.gelu(value) * gate


class _Compiled:
    """A function of tensors, compiled at its first use on a GPU if that is possible."""

    def __init__(self, plain: Callable[..., Tensor]) -> None:
        self._plain = plain
        self._compiled: Callable[..., Tensor] | None = None

    def __call__(self, *tensors: Tensor) -> Tensor:
        if not tensors[0].is_cuda:
            return self._plain(*tensors)
        if self._compiled is None:
            self._compiled = torch.compile(self._plain, dynamic=True)
        try:
            return self._compiled(*tensors)
        except Exception as error:
            log.warning("PyTorch cannot compile for this GPU, slower without: %s", error)
            self._compiled = self._plain
            return self._plain(*tensors)


_ROTATE, _GATE = _Compiled(_rotate), _Compiled(_gate)
