"""Labelled rows into features, by one encoder and its lexicon."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from darling_models.embedded.description import Description, describe
from darling_models.embedded.encoder import TextEncoder, TokenizedText, Vectors
from darling_models.embedded.features import pair_features
from darling_models.embedded.late_interaction import EVEN_SALIENCE, Lexicon, unit
from darling_models.labelled_data import HumanPair, TeacherGroup
from darling_models.progress import progress
from darling_models.protocol import ONE_PAIR, IntArray, all_pairs
from darling_models.training.augment.short_answers import MadeUpPairs

BATCH = 64
"""Texts that the encoder gets at a time."""
PROJECTED = 64
"""Dimensions kept of a key token's vector; fewer lose accuracy, more gain none."""
SAMPLE = 400
"""Texts whose token vectors give the means and principal axes."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows, all or those of a fold."""

    pairs: list[HumanPair]
    padded: list[HumanPair]
    """Some of the pairs once more, padded on both sides with the same text."""
    groups: list[TeacherGroup]
    made: list[MadeUpPairs]

    def prompts(self) -> list[str]:
        """The prompt of every row, in order."""
        return [prompt for prompt, *_ in self.texts()]

    def only(self, prompts: Container[str]) -> "Rows":
        return Rows(
            [pair for pair in self.pairs if pair.prompt in prompts],
            [pair for pair in self.padded if pair.prompt in prompts],
            [group for group in self.groups if group.prompt in prompts],
            [made for made in self.made if made.prompt in prompts],
        )

    def texts(self) -> list[tuple[str, ...]]:
        """The prompt of each row, then its texts."""
        return [
            *((pair.prompt, pair.a, pair.b) for pair in (*self.pairs, *self.padded)),
            *((group.prompt, *group.texts) for group in self.groups),
            *((made.prompt, *(t for pair in made.texts for t in pair)) for made in self.made),
        ]


def features_of(encoder: TextEncoder, lexicon: Lexicon, rows: Rows) -> list[Vectors]:
    """Features (m, features) of the m labelled pairs of each row, in the order of `prompts()`."""
    texts = list(dict.fromkeys(text for row in rows.texts() for text in row))
    known = dict(zip(texts, _described(encoder, texts, lexicon), strict=True))
    features: list[Vectors] = []
    for prompt, *answers in progress(rows.texts(), desc="compare"):
        described = [known[text] for text in answers]
        at = _pairs(rows, len(features), answers)
        features.append(pair_features(described, known[prompt], at, lexicon))
    return features


def different_pairs(texts: Sequence[str]) -> IntArray:
    """Pairs i < j of different texts, shape (m, 2): identical ones never reach the model."""
    pairs = all_pairs(len(texts))
    return pairs[np.asarray([texts[i] != texts[j] for i, j in pairs.tolist()], dtype=np.bool_)]


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
    return [rows for batch in _encoded(encoder, tokenized) for rows in batch]


def _pairs(rows: Rows, row: int, texts: Sequence[str]) -> IntArray:
    human = len(rows.pairs) + len(rows.padded)
    if row < human:
        return ONE_PAIR
    if row < human + len(rows.groups):
        return different_pairs(texts)
    return np.arange(len(texts), dtype=np.int64).reshape(-1, 2)


def _described(encoder: TextEncoder, texts: Sequence[str], lexicon: Lexicon) -> list[Description]:
    tokenized = encoder.tokenize(texts)
    vectors = (rows for batch in _encoded(encoder, tokenized) for rows in batch)
    return [
        describe(text, tokens, rows, lexicon)
        for text, tokens, rows in zip(texts, tokenized, vectors, strict=True)
    ]


def _encoded(encoder: TextEncoder, tokenized: Sequence[TokenizedText]) -> Iterator[list[Vectors]]:
    total = sum(len(text.ids) for text in tokenized)
    with progress(total=total, unit="token", desc="encode") as bar:
        for start in range(0, len(tokenized), BATCH):
            batch = tokenized[start : start + BATCH]
            yield encoder.token_vectors(batch)
            bar.update(sum(len(text.ids) for text in batch))
