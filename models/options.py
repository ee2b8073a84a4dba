"""Choices that apply to every classifier when it is loaded; None keeps the classifier's own."""

from dataclasses import dataclass, replace

from models.protocol import Linkage, ModelInfo


class ModelError(Exception):
    """A classifier cannot be loaded. The message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    threshold: float | None = None
    linkage: Linkage | None = None
    device: str = "cpu"
    max_length: int | None = None
    """Tokens of a pair that a cross-encoder reads; None: what its checkpoint was made for."""
    similar_label: int | None = None
    """Index of a cross-encoder's "equivalent" label; None: read from its config."""

    def apply(self, info: ModelInfo) -> ModelInfo:
        """`info` with the threshold and linkage chosen here."""
        if self.threshold is not None:
            info = replace(info, threshold=self.threshold)
        if self.linkage is not None:
            info = replace(info, linkage=self.linkage)
        return info


DEFAULT_OPTIONS = ModelOptions()
