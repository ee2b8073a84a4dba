"""The choice of kernels, kept on the disk: a machine tries them once for each shape of encoder.

One small JSON file a choice, in `darling-reward/kernels` of the user's cache folder
(`XDG_CACHE_HOME`, else `~/.cache`). Its name is a digest of all that the choice depends on. A file
that cannot be read or written is no error: the kernels are tried again.
"""

import json
import logging
import os
import platform
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile

import torch

from darling_models.runtime.kernels import Choice, Kernels
from darling_models.runtime.precision import CPU_INFO

log = logging.getLogger(__name__)

FORM = 3
"""Number of the way in which kernels are tried; another makes stored choices void."""
STEERING = ("ATEN_CPU_", "DNNL_", "MKL_", "ONEDNN_")
"""Beginnings of environment variables that make libraries take other kernels."""


def cached(
    choose: Callable[[], Choice],
    shape: Mapping[str, object],
    holds: Callable[[Kernels], bool],
) -> Choice:
    """The choice stored for this machine and an encoder's shape, else that of `choose`, stored.

    `holds`: whether texts get the same bits in any company by these kernels. It is asked of a
    stored choice at every start: a file may be damaged, or have come from another machine.
    What computes every text by itself is not stored: a damaged checkpoint may be at fault. Of
    processes that try at the same time, the one that is done first chooses for all.
    """
    key = {**machine(), **shape, "form": FORM}
    digest = blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=16).hexdigest()
    stored = _stored(digest, key)
    if stored is not None:
        if holds(stored.kernels):
            return stored
        log.warning("kept kernels give other bits in other company here: all are tried again")
    choice = choose()
    if choice.kernels.alone:
        return choice
    other = _stored(digest, key)
    if other is not None and other != stored and holds(other.kernels):
        return other
    content = {"kernels": choice.name, "reason": choice.reason, "for": key}
    try:
        _write(folder() / f"{digest}.json", json.dumps(content, indent=1))
    except (OSError, RuntimeError) as error:
        log.debug("the choice of kernels is not kept for the next start: %s", error)
    return choice


def _stored(digest: str, key: Mapping[str, object]) -> Choice | None:
    """The choice of that name for this machine and shape; None if none can be read."""
    try:
        stored = json.loads((folder() / f"{digest}.json").read_text())
        kernels = Kernels.parse(stored["kernels"])
        if kernels.alone or stored["for"] != key:
            return None
        return Choice(kernels, f"{stored['reason']} (tried at an earlier start)")
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, RecursionError):
        return None


def machine() -> dict[str, object]:
    """What a choice depends on beside the encoder: processor, libraries, and what steers them."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    pairs = (line.partition(":") for line in lines)
    # The first processor's; "Features" is ARM's word for flags.
    said = {name.strip(): value.strip() for name, _, value in reversed(list(pairs))}
    return {
        "processor": said.get("model name", platform.processor()),
        "flags": " ".join(sorted((said.get("flags") or said.get("Features", "")).split())),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        # Builds of one version differ in the library of their products, and in what it may use.
        "build": torch.__config__.show(),
        "variables": {k: v for k, v in sorted(os.environ.items()) if k.startswith(STEERING)},
    }


def folder() -> Path:
    """Where choices are kept. Raises `RuntimeError` for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification wants a relative path to be ignored.
    cache = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return cache / "darling-reward" / "kernels"


def _write(file: Path, text: str) -> None:
    """In one step, since several services may start together."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=file.parent, delete=False) as written:
        written.write(text)
    os.replace(written.name, file)
