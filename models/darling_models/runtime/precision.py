"""The number format that a runtime computes in, and whether this machine can."""

from pathlib import Path

import torch

from darling_models.errors import ModelError
from darling_models.options import Runtime

CPU_FLAGS = Path("/proc/cpuinfo")
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")


def dtype_of(runtime: Runtime, device: str) -> torch.dtype:
    """Of `auto`, bfloat16 where the device computes in it, and float32 elsewhere.

    Raises `ModelError` for bfloat16 on a CPU that would emulate it, several times slower.
    """
    if runtime in ("float32", "tiles"):
        return torch.float32
    if runtime == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if device == "cpu" and not has_bfloat16(device):
        raise ModelError(
            "this CPU has no bfloat16 instructions (avx512_bf16, amx_bf16), and without them "
            "bfloat16 is far slower than float32; leave runtime out"
        )
    return torch.bfloat16


def has_bfloat16(device: str, flags: Path = CPU_FLAGS) -> bool:
    """Whether the device has instructions for it; of a CPU, by the flags that Linux reports."""
    if device.startswith("cuda"):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu" or not flags.exists():
        return False
    return not set(BF16_FLAGS).isdisjoint(flags.read_text().split())


def name_of(dtype: torch.dtype) -> str:
    """As settings write it: `bfloat16`."""
    return str(dtype).removeprefix("torch.")
