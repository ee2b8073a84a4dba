"""The model card beside a classifier's weights."""

from dataclasses import dataclass
from pathlib import Path

from darling_models.registry import folder_of

CARDS = ("MODEL_CARD.md", "README.md")
"""Names of a card: what `darling-reward train` writes, and what the hub has."""
PLOT = "reliability.png"
"""Name of the plot of predicted against observed probabilities, as `darling-reward train` draws
it."""
MAX_BYTES = 2**20
"""Bytes of a file that are still shown: a hundred times what a card or a plot takes."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    text: str | None
    """The card in Markdown; None where there is none."""
    reliability: bytes | None
    """The reliability plot, a PNG; None where there is none."""


def card_of(name: str) -> ModelCard:
    """The card of the classifier of this name. It is empty for a classifier without local weights.

    Raises `ModelError` if the name is unknown.
    """
    folder = folder_of(name)
    if folder is None:
        return ModelCard(None, None)
    card = next(filter(None, (_read(folder / name) for name in CARDS)), None)
    text = None if card is None else card.decode(errors="replace")
    return ModelCard(text, _read(folder / PLOT))


def _read(path: Path) -> bytes | None:
    """A file's content; None if it is not there, or too large to be what its name says."""
    try:
        return path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError:
        return None
