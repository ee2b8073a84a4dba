"""The number format that a runtime computes in, and whether this machine can."""

from pathlib import Path

import torch

from models.options import ModelError, Runtime

CPU_FLAGS = Path("/proc/cpuinfo")
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")


def dtype_of(runtime: Runtime, device: str) -> torch.dtype:
    """Raises `ModelError` for bfloat16 on a CPU that would emulate it, several times slower."""
    if runtime != "bfloat16":
        return torch.float32
    if device == "cpu" and not cpu_has_bfloat16():
        raise ModelError(
            "this CPU has no bfloat16 instructions (avx512_bf16, amx_bf16), and without them "
            "bfloat16 is far slower than float32; leave runtime out"
        )
    return torch.bfloat16


def cpu_has_bfloat16(flags: Path = CPU_FLAGS) -> bool:
    """By the flags that Linux reports; False where it does not say."""
    if not flags.exists():
        return False
    return not set(BF16_FLAGS).isdisjoint(flags.read_text().split())
