"""Classifiers by name: `embedded[:DIR]`, `exact`, `ngram`, `unigram`, `cross-encoder:PATH_OR_ID`.

Loading is lazy: a lexical classifier never imports torch.
"""

from pathlib import Path

from models.options import DEFAULT_OPTIONS, ModelError, ModelOptions
from models.protocol import EquivalenceClassifier

LEXICAL = ("exact", "ngram", "unigram")
CATALOGUE = {
    "embedded": "the default: encodes each rollout once, then a trained, calibrated pair head",
    "embedded:DIR": "the same with a head of your own, from `darling-reward train --out DIR`",
    "exact": "equal text, up to case, white space and Unicode compatibility form",
    "ngram": "Jaccard similarity of word 4-gram sets",
    "unigram": "Jaccard similarity of word sets",
    "cross-encoder:PATH_OR_ID": "any Hugging Face sequence-classification checkpoint",
}


def load(name: str, options: ModelOptions = DEFAULT_OPTIONS) -> EquivalenceClassifier:
    """Loads a classifier. Raises `ModelError` if the name is unknown or its weights unusable."""
    kind, _, target = name.partition(":")
    if name in LEXICAL:
        from models import lexical

        return lexical.BASELINES[name](options)
    if kind == "embedded":
        from models.embedded import ARTEFACT, Embedded

        return Embedded(options, Path(target) if target else ARTEFACT)
    if kind == "cross-encoder" and target:
        from models.cross_encoder import CrossEncoder

        return CrossEncoder(target, options)
    raise ModelError(f"unknown model {name!r}; choose one of: {', '.join(CATALOGUE)}")
