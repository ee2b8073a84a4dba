"""The number format that a runtime computes in, and whether this machine can."""

import logging
from pathlib import Path

import torch

from darling_models.errors import ModelError
from darling_models.options import Runtime

log = logging.getLogger(__name__)

CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names that Linux gives to a CPU's instructions for bfloat16, on x86 and on ARM."""


def dtype_of(runtime: Runtime, device: str) -> torch.dtype:
    """The number format of a runtime; for `auto`, bfloat16 if the device computes in it.

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


def has_bfloat16(device: str, cpu_info: Path = CPU_INFO) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.startswith("cuda"):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and bool(bfloat16_instructions(cpu_info))


def reason(runtime: Runtime, device: str, cpu_info: Path = CPU_INFO) -> str:
    """Why `dtype_of` chooses as it does, for the log."""
    if runtime != "auto":
        return f"the setting runtime is {runtime}"
    if not has_bfloat16(device, cpu_info):
        return f"{_named(device)} reports no instructions for bfloat16"
    listed = f" ({', '.join(bfloat16_instructions(cpu_info))})" if device == "cpu" else ""
    return f"{_named(device)} has instructions for bfloat16{listed}"


def log_precision(name: str, dtype: torch.dtype, why: str) -> None:
    """One line when a model is loaded: the number format decides its speed and its last bits."""
    log.info("%s computes in %s: %s", name, name_of(dtype), why)


def name_of(dtype: torch.dtype) -> str:
    """The format as settings write it, such as `bfloat16`."""
    return str(dtype).removeprefix("torch.")


def _named(device: str) -> str:
    return "this CPU" if device == "cpu" else f"the device {device}"


def bfloat16_instructions(cpu_info: Path = CPU_INFO) -> list[str]:
    """The flags for bfloat16 that Linux reports; none on another system."""
    flags = set(cpu_info.read_text().split()) if cpu_info.exists() else set()
    return [flag for flag in BF16_FLAGS if flag in flags]
