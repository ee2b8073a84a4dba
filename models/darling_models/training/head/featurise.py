"""Labelled groups into features, by one encoder and its lexicon."""

from collections.abc import Iterator, Sequence

import numpy as np

from darling_models.embedded.description import Description, describe
from darling_models.embedded.encoder import TextEncoder, TokenizedText, Vectors
from darling_models.embedded.features import pair_features
from darling_models.embedded.late_interaction import EVEN_SALIENCE, Lexicon, unit
from darling_models.progress import progress
from darling_models.training.labelled_groups import LabelledGroup

BATCH = 64
"""Texts that the encoder gets at a time."""
BLOCK = 256
"""Groups whose texts are described at a time: a description of a long text takes 100 kB."""
PROJECTED = 64
"""Dimensions kept of a key token's vector; fewer lose accuracy, more gain none."""
SAMPLE = 400
"""Texts whose token vectors give the means and principal axes."""


def features_of(
    encoder: TextEncoder, lexicon: Lexicon, groups: Sequence[LabelledGroup]
) -> list[Vectors]:
    """Features (m, features) of the m labelled pairs of each group."""
    features: list[Vectors] = []
    with progress(total=len(groups), unit="group", desc="features") as bar:
        for start in range(0, len(groups), BLOCK):
            block = groups[start : start + BLOCK]
            texts = list(dict.fromkeys(t for group in block for t in (group.prompt, *group.texts)))
            known = dict(zip(texts, _described(encoder, texts, lexicon), strict=True))
            for group in block:
                described = [known[text] for text in group.texts]
                features.append(pair_features(described, known[group.prompt], group.pairs, lexicon))
                bar.update()
    return features


def frozen_lexicon(encoder: TextEncoder, texts: Sequence[str], seed: int) -> Lexicon:
    """Document frequencies in `texts`, and directions of the encoder's vectors in some of them."""
    tokenized = encoder.tokenize(texts)
    frequency = np.zeros(encoder.vocabulary)
    for text in tokenized:
        frequency[np.unique(text.ids)] += 1
    idf = np.log((len(tokenized) + 1) / (frequency + 0.5))
    vectors = _sampled(encoder, texts, seed)
    tokens = np.concatenate([unit(rows) for rows in vectors]).astype(np.float64)
    token_mean = tokens.mean(axis=0)
    _, axes = np.linalg.eigh(tokens.T @ tokens / len(tokens) - np.outer(token_mean, token_mean))
    return Lexicon(
        # Halves keep the artefact small, and rounding now keeps training and serving alike.
        idf=np.clip(idf, 0.02, None).astype(np.float16).astype(np.float32),
        token_mean=token_mean.astype(np.float32),
        projection=np.ascontiguousarray(axes[:, ::-1][:, :PROJECTED], dtype=np.float32),
        salience=np.append(np.zeros(len(token_mean)), EVEN_SALIENCE).astype(np.float32),
    )


def _sampled(encoder: TextEncoder, texts: Sequence[str], seed: int) -> list[Vectors]:
    sample = np.random.default_rng(seed).permutation(len(texts))[:SAMPLE]
    tokenized = encoder.tokenize([texts[k] for k in np.sort(sample)])
    return list(_encoded(encoder, tokenized))


def _described(
    encoder: TextEncoder, texts: Sequence[str], lexicon: Lexicon
) -> Iterator[Description]:
    tokenized = encoder.tokenize(texts)
    vectors = _encoded(encoder, tokenized)
    for text, tokens, rows in zip(texts, tokenized, vectors, strict=True):
        yield describe(text, tokens, rows, lexicon)


def _encoded(encoder: TextEncoder, tokenized: Sequence[TokenizedText]) -> Iterator[Vectors]:
    for start in range(0, len(tokenized), BATCH):
        yield from encoder.token_vectors(tokenized[start : start + BATCH])
