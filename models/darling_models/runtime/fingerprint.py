"""A fingerprint of a model's weights: what its revision and its cache keys rest on."""

from collections.abc import Mapping
from hashlib import blake2b

import torch


def fingerprint_of(weights: Mapping[str, torch.Tensor], choices: str) -> str:
    """16 hexadecimal digits that change with any weight and with `choices`, how they are used."""
    digest = blake2b(choices.encode(), digest_size=8)
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
