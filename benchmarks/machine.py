"""Describes the machine, measures the rate of its matrix products, and counts operations."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

PEAK_SECONDS = 2.0
SIDE = 2048
SIDE_ELSEWHERE = 8192
"""Rows and columns of the product on a GPU, which the smaller one would not fill."""

Clock = Callable[[], float]
"""A clock in seconds: wall time, or this process's CPU time where others share the machine."""


def description() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def matmul_peak(
    clock: Clock = time.perf_counter,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    seconds: float = PEAK_SECONDS,
) -> float:
    """The best rate of a square matrix product over so many seconds, in GFLOP/s."""
    side = SIDE if device == "cpu" else SIDE_ELSEWHERE
    a, b = torch.randn(2, side, side, device=device, dtype=dtype)
    best, stop = 0.0, clock() + seconds
    while clock() < stop:
        started = clock()
        torch.mm(a, b)
        if device != "cpu":
            torch.cuda.synchronize(device)
        best = max(best, 2 * side**3 / (clock() - started) / 1e9)
    return best


def operations(work: Callable[[], object]) -> float:
    """Floating-point operations in the matrix products of one call, in this thread."""
    with FlopCounterMode(display=False, custom_mapping=FUSED) as counter:
        work()
    return float(counter.get_total_flops())


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _linear(x: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    """Operations of a linear layer; an added residual is not counted."""
    return 2 * int(np.prod(x)) * int(out_shape[-1])


FUSED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.mkldnn._linear_pointwise: _linear,
}
"""Operation counts for kernels that our runtime uses and torch's counter does not know."""
