"""The published equivalence classifiers: how each one was fed and where it decides.

Published with DARLING (facebookresearch/darling) and NoveltyBench. Only the DeBERTa weights are
public; for the others give the folder of a checkpoint made by the same recipe. Budgets are the
published ones but count tokens, where the published serving code counted words and lost newlines.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    template: str
    """Special tokens and all, with {a} and {b} for the texts."""
    max_tokens_per_text: int
    """Tokens of each text."""
    threshold: float
    similar_label: int = 1
    checkpoint: str | None = None
    """Where the published weights are, if anywhere."""
    tokenizer: str | None = None
    """Used when the checkpoint carries none."""


BERT_PAIR = "[CLS]{a}[SEP]{b}[SEP]"

PRESETS = {
    "noveltybench-deberta": Preset(
        template=BERT_PAIR,
        max_tokens_per_text=128,
        threshold=0.102,
        checkpoint="yimingzhang/deberta-v3-large-generation-similarity",
        tokenizer="microsoft/deberta-v3-large",
    ),
    "darling-modernbert": Preset(template=BERT_PAIR, max_tokens_per_text=1022, threshold=0.32),
    # Qwen has neither [CLS] nor [SEP]: the published code puts its chat markers in their place.
    "darling-qwen3": Preset(
        template="<|im_start|>{a}<|im_end|>{b}<|im_end|>", max_tokens_per_text=2046, threshold=0.5
    ),
}
