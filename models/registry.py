"""Classifiers by name: `embedded`, `exact`, `ngram`, `unigram`, or `cross-encoder:PATH_OR_ID`.

Loading is lazy: a lexical classifier never imports torch.
"""

from models.options import DEFAULT_OPTIONS, ModelError, ModelOptions
from models.protocol import EquivalenceClassifier

LEXICAL = ("exact", "ngram", "unigram")
CATALOGUE = {
    "embedded": "the default: encodes each rollout once, then a trained, calibrated pair head",
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
    if name == "embedded":
        from models.embedded import Embedded

        return Embedded(options)
    if kind == "cross-encoder" and target:
        from models.cross_encoder import CrossEncoder

        return CrossEncoder(target, options)
    raise ModelError(f"unknown model {name!r}; choose one of: {', '.join(CATALOGUE)}")
