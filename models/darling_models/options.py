"""Settings with which a classifier is loaded; None keeps the classifier's own choice.

`threshold`, `linkage`, `notion`, `device` and `model_timeout_s` may be set for every classifier,
`notion` to what it has. Each of the others applies to those that read it, named in
`registry.BACKENDS`; a classifier that does not read a changed setting is not loaded.
"""

from dataclasses import dataclass, replace
from typing import Literal

from darling_models.errors import ModelError
from darling_models.protocol import Linkage, ModelInfo, Notion, Threshold

Domain = Literal["general", "creative"]
VerdictForm = Literal["logprobs", "json", "group"]
Runtime = Literal["auto", "bfloat16", "float32", "tiles"]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    threshold: Threshold | None = None
    linkage: Linkage | None = None
    notion: Notion | None = None
    """What makes two texts equivalent."""
    device: str = "cpu"
    """Torch device of a local model, such as `cuda`."""
    model_timeout_s: float = 60.0
    """Seconds that a model server or an LLM judge has for one answer."""
    runtime: Runtime = "auto"
    """How an encoder or cross-encoder computes: see `runtime.precision` and `runtime.packed`."""
    kernels: str = "auto"
    """Kernels of packed encoders on a CPU: see `runtime.kernels`. `auto` leaves them to a trial."""
    max_length: int | None = None
    """Tokens that a cross-encoder reads of a pair, or `embeddings` of a text; None: as many as the
    checkpoint was made for."""
    max_tokens_per_text: int | None = None
    """Tokens of each text of a pair that a cross-encoder reads."""
    similar_label: int | None = None
    """Index of the "equivalent" label. None: the one in a cross-encoder's config, the last one of
    a remote model."""
    pair_template: str | None = None
    """How a cross-encoder or a remote model is given a pair, with {a} and {b} for its texts."""
    judge_domain: Domain = "general"
    """What an LLM judge compares by `answer`: responses in general, or creative ideas."""
    judge_criterion: str | None = None
    """When two texts are the same to an LLM judge, in place of its own words for the notion."""
    judge_verdict: VerdictForm = "logprobs"
    """How an LLM judge answers: first-token log-probabilities, JSON, or the whole group at once."""
    judge_parameters: str | None = None
    """JSON object of parameters in the request to an LLM judge; null leaves one out."""
    judge_api_key: str | None = None
    """Bearer token for the server of an LLM judge."""

    def criterion_by(self, notion: Notion) -> str | None:
        """The criterion that takes the place of an LLM judge's words for this notion: it is for the
        notion chosen here. None: there is none."""
        return self.judge_criterion if notion == (self.notion or "answer") else None

    def apply(self, info: ModelInfo) -> ModelInfo:
        """`info` with the threshold, linkage and notion chosen here.

        Raises `ModelError` for a named threshold or a notion that the classifier does not have.
        """
        try:
            info.require(self.notion)
            chosen = info.threshold_at(self.threshold)
        except ValueError as error:
            raise ModelError(str(error)) from error
        if self.threshold is not None:
            info = replace(info, threshold=chosen, published_threshold=chosen)
        if self.linkage is not None:
            info = replace(info, linkage=self.linkage)
        if self.notion is not None:
            info = replace(info, notion=self.notion)
        return info

    def by(self, notion: Notion) -> "ModelOptions":
        """The options for another notion than the one chosen here. A threshold is for one notion:
        under the other the classifier's own holds."""
        return replace(self, notion=notion, threshold=None)


DEFAULT_OPTIONS = ModelOptions()
