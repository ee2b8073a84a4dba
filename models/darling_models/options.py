"""Choices that apply to every classifier when it is loaded; None keeps the classifier's own."""

from dataclasses import dataclass, replace
from typing import Literal

from darling_models.errors import ModelError
from darling_models.protocol import Linkage, ModelInfo, Threshold

Domain = Literal["general", "creative", "math"]
VerdictForm = Literal["logprobs", "json", "group"]
Runtime = Literal["auto", "bfloat16", "float32", "tiles"]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    threshold: Threshold | None = None
    linkage: Linkage | None = None
    device: str = "cpu"
    runtime: Runtime = "auto"
    """How an encoder or cross-encoder computes: see `runtime.precision` and `runtime.packed`."""
    max_length: int | None = None
    """Tokens of a pair that a cross-encoder reads; None: what its checkpoint was made for."""
    max_tokens_per_text: int | None = None
    """Tokens of each text of a pair that a cross-encoder reads."""
    similar_label: int | None = None
    """Index of a cross-encoder's "equivalent" label; None: read from its config."""
    pair_template: str | None = None
    """How a pairwise model's input is written, with {a} and {b} for the texts."""
    judge_domain: Domain = "general"
    """What the judge is asked about."""
    judge_verdict: VerdictForm = "logprobs"
    """How the judge answers: first-token log-probabilities, JSON, or the whole group at once."""
    judge_api_key: str | None = None
    """Bearer token for the judge's server."""

    def apply(self, info: ModelInfo) -> ModelInfo:
        """`info` with the threshold and linkage chosen here.

        Raises `ModelError` for a named threshold that the classifier does not have.
        """
        try:
            info = replace(info, threshold=info.threshold_at(self.threshold))
        except ValueError as error:
            raise ModelError(str(error)) from error
        if self.linkage is not None:
            info = replace(info, linkage=self.linkage)
        return info


DEFAULT_OPTIONS = ModelOptions()
