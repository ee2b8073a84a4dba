"""Which prompts a model was trained on: a small sketch to keep with it, and to ask later.

The sketch is the smallest 256 hashes of the prompts. Hashes of other prompts that fall within its
range are in it exactly when they were trained on, so their share estimates how much of a file a
model has seen, from a few kilobytes and without keeping anybody's text.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from darling_models.keys import content_key
from darling_models.registry import LEXICAL

SIZE = 256


def sketch(prompts: Iterable[str]) -> list[str]:
    """Hexadecimal hashes in rising order."""
    return sorted({_hash(prompt) for prompt in prompts})[:SIZE]


def share_seen(prompts: Iterable[str], of: list[str]) -> float | None:
    """The estimated share of distinct `prompts` behind the sketch `of`; None if too few to tell."""
    known = set(of)
    hashes = {_hash(prompt) for prompt in prompts}
    told = [h for h in hashes if len(of) < SIZE or h <= of[-1]]
    return sum(h in known for h in told) / len(told) if told else None


def trained_on(model: str) -> list[str] | None:
    """The sketch kept with a model of the registry: empty if it is untrained, None if unknown."""
    kind, _, target = model.partition(":")
    if kind in LEXICAL:
        return []
    if kind != "embedded":
        return None
    from darling_models.embedded.classifier import ARTEFACT  # imports torch

    try:
        metrics = json.loads(((Path(target) if target else ARTEFACT) / "metrics.json").read_text())
        prompts = metrics["data"]["prompts"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return prompts.split() if isinstance(prompts, str) else None


def _hash(prompt: str) -> str:
    return content_key(" ".join(prompt.split()))[:6].hex()
