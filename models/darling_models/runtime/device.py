"""The device of a local model: one that the machine does not have is said before anything else."""

import torch

from darling_models.errors import ModelError


def require_device(device: str) -> None:
    """Raises `ModelError` unless torch can put a number on the device."""
    try:
        torch.device(device)
    except RuntimeError:
        raise ModelError(
            f"the setting device is {device!r}, which is no device; write cpu, cuda or cuda:0"
        ) from None
    try:
        torch.zeros(1, device=device).cpu()
    except Exception as error:  # each backend of torch raises types of its own
        reason = str(error).strip().splitlines()[0].partition(". ")[0].rstrip(".")
        raise ModelError(
            f"the setting device is {device!r}, which torch cannot use here ({reason}); choose "
            "cpu, or install the driver and the build of torch that it needs"
        ) from error
