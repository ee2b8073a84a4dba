"""The machine: what it is, the rate of its matrix products, and operations counted as they run."""

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
"""On a GPU, where the smaller does not fill it."""

Clock = Callable[[], float]
"""Seconds: of the wall, or of this process's CPU where others share the machine."""


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
    clock: Clock = time.perf_counter, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> float:
    """Best GFLOP/s of a square product."""
    side = SIDE if device == "cpu" else SIDE_ELSEWHERE
    a, b = torch.randn(2, side, side, device=device, dtype=dtype)
    best, stop = 0.0, clock() + PEAK_SECONDS
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
    """With or without a residual that is added."""
    return 2 * int(np.prod(x)) * int(out_shape[-1])


FUSED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.mkldnn._linear_pointwise: _linear,
}
"""The kernels of ours that torch's counter does not know."""
