"""Memory: whether a checkpoint's weights can fit at all, and what a batch says that does not."""

import sys
from pathlib import Path

from darling_models.errors import ModelError

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""Files that hold a checkpoint's weights; of the two kinds, the first that is there is read."""
SIGNS = (
    *("out of memory", "not enough memory", "can't allocate memory", "Cannot allocate memory"),
    "ALLOC_FAILED",
)
"""What torch writes into a RuntimeError where an allocation has failed, on a CPU or on a GPU."""
MEMORY = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")
GIB = 2**30


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether the fault says that memory ran out, so that half of the batch may fit."""
    if isinstance(fault, RuntimeError):
        return any(sign in str(fault) for sign in SIGNS)
    return isinstance(fault, MemoryError)


def release_cached() -> None:
    """Gives memory that torch keeps for later back to the GPU, if one is in use."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def require_memory(folder: str, device: str) -> None:
    """Raises `ModelError` if a checkpoint's weights are bigger than the memory that is free.

    Knows the memory of the machine and of its container, and says nothing of other devices.
    """
    if device != "cpu":
        return
    needed = weights_bytes(Path(folder))
    free = free_bytes()
    if free is not None and needed > free:
        raise ModelError(
            f"not enough memory: the weights in {folder!r} take {needed / GIB:.1f} GiB, and "
            f"{free / GIB:.1f} GiB are free; choose a smaller model, or give this process more"
        )


def weights_bytes(folder: Path) -> int:
    """Bytes of the weights that lie in a folder itself; 0 if it holds none, or is no folder."""
    for pattern in WEIGHTS:
        if total := sum(file.stat().st_size for file in folder.glob(pattern)):
            return total
    return 0


def free_bytes() -> int | None:
    """Bytes that this process may still take; None where the system does not say."""
    known = [free for free in (_of_machine(), _of_container()) if free is not None]
    return min(known, default=None)


def _of_machine() -> int | None:
    try:
        rows = dict(row.split(":", 1) for row in MEMORY.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _of_container() -> int | None:
    """What a control group of version 2 leaves, with the files of which it keeps copies."""
    try:
        limit = int((CONTROL_GROUP / "memory.max").read_text())  # "max" is no number
        used = int((CONTROL_GROUP / "memory.current").read_text())
        rows = dict(row.split() for row in (CONTROL_GROUP / "memory.stat").read_text().splitlines())
        return limit - used + int(rows["inactive_file"])
    except (OSError, KeyError, ValueError):
        return None
