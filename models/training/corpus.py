"""Labelled texts into features: everything the head is fitted on, made once and kept on disk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.description import Description, Lexicon, describe, unit
from models.encoder import TextEncoder, TokenizedText, Vectors
from models.features import FEATURES, pair_features
from models.protocol import IntArray, all_pairs
from models.training.data import HumanPair, TeacherGroup

BATCH = 64
PROJECTED = 64
"""Dimensions kept of a key token's vector; fewer lose accuracy, more gain none."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Features and labels; `pairs` are human-labelled, `group_*` are a teacher's pairs."""

    lexicon: Lexicon
    features: Vectors
    """Of the human pairs, shape (pairs, features)."""
    similar: NDArray[np.bool_]
    labeler: IntArray
    """Index of each human pair's labeler."""
    prompts: list[str]
    group_features: list[Vectors]
    """Per group, of its pairs i < j of distinct texts, shape (m, features)."""
    group_pairs: list[IntArray]
    """Per group, those pairs, shape (m, 2)."""
    groups: list[TeacherGroup]


def build(
    encoder: TextEncoder, pairs: Sequence[HumanPair], groups: Sequence[TeacherGroup]
) -> Corpus:
    """Encodes every text once; with MiniLM, some 6,000 tokens a second on two cores."""
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.a, pair.b)))
    tokenized = encoder.tokenize(texts)
    vectors = [v for batch in _encoded(encoder, tokenized, "pairs") for v in batch]
    lexicon = _lexicon(tokenized, vectors, encoder.vocabulary)
    known = {
        text: describe(text, tokens, rows, lexicon)
        for text, tokens, rows in zip(texts, tokenized, vectors, strict=True)
    }
    del vectors
    rest = dict.fromkeys(
        [pair.prompt for pair in pairs]
        + [text for group in groups for text in (group.prompt, *group.texts)]
    )
    known |= _described(encoder, [text for text in rest if text not in known], lexicon)

    one = np.asarray([[0, 1]], dtype=np.int64)
    names = sorted({pair.labeler for pair in pairs})
    group_pairs = [_distinct_pairs(group) for group in groups]
    return Corpus(
        lexicon=lexicon,
        features=np.concatenate(
            [
                pair_features([known[p.a], known[p.b]], known[p.prompt], one, lexicon)
                for p in tqdm(pairs, desc="pair features", disable=False)
            ]
        ),
        similar=np.asarray([pair.similar for pair in pairs]),
        labeler=np.asarray([names.index(pair.labeler) for pair in pairs]),
        prompts=[pair.prompt for pair in pairs],
        group_features=[
            pair_features([known[text] for text in g.texts], known[g.prompt], at, lexicon)
            for g, at in zip(
                tqdm(groups, desc="group features", disable=False), group_pairs, strict=True
            )
        ],
        group_pairs=group_pairs,
        groups=list(groups),
    )


def save_features(corpus: Corpus, path: Path) -> None:
    """Keeps the features, which take minutes; labels and texts are read again from their files."""
    np.savez(
        path,
        names=np.asarray(FEATURES),
        features=corpus.features,
        group_features=np.concatenate([*corpus.group_features, corpus.features[:0]]),
        **{name: getattr(corpus.lexicon, name) for name in Lexicon.__slots__},
    )


def load_features(path: Path, pairs: Sequence[HumanPair], groups: Sequence[TeacherGroup]) -> Corpus:
    """The corpus of the same files again. Raises `ValueError` if the features have changed."""
    stored = np.load(path, allow_pickle=False)
    if stored["names"].tolist() != list(FEATURES) or len(stored["features"]) != len(pairs):
        raise ValueError(f"{path} was made from other data or other features; delete it")
    names = sorted({pair.labeler for pair in pairs})
    group_pairs = [_distinct_pairs(group) for group in groups]
    ends = np.cumsum([len(at) for at in group_pairs])[:-1]
    return Corpus(
        lexicon=Lexicon(**{name: stored[name] for name in Lexicon.__slots__}),
        features=stored["features"],
        similar=np.asarray([pair.similar for pair in pairs]),
        labeler=np.asarray([names.index(pair.labeler) for pair in pairs]),
        prompts=[pair.prompt for pair in pairs],
        group_features=np.split(stored["group_features"], ends),
        group_pairs=group_pairs,
        groups=list(groups),
    )


def _described(
    encoder: TextEncoder, texts: Sequence[str], lexicon: Lexicon
) -> dict[str, Description]:
    tokenized = encoder.tokenize(texts)
    known: dict[str, Description] = {}
    done = 0
    for batch in _encoded(encoder, tokenized, "groups"):
        for rows in batch:
            known[texts[done]] = describe(texts[done], tokenized[done], rows, lexicon)
            done += 1
    return known


def _encoded(
    encoder: TextEncoder, tokenized: Sequence[TokenizedText], name: str
) -> Iterable[list[Vectors]]:
    total = sum(len(text.ids) for text in tokenized)
    with tqdm(total=total, unit="token", desc=f"encode {name}", disable=False) as progress:
        for start in range(0, len(tokenized), BATCH):
            batch = tokenized[start : start + BATCH]
            yield encoder.token_vectors(batch)
            progress.update(sum(len(text.ids) for text in batch))


def _lexicon(
    tokenized: Sequence[TokenizedText], vectors: Sequence[Vectors], vocabulary: int
) -> Lexicon:
    frequency = np.zeros(vocabulary)
    for text in tokenized:
        frequency[np.unique(text.ids)] += 1
    idf = np.log((len(tokenized) + 1) / (frequency + 0.5))
    documents = unit(np.stack([rows.mean(axis=0) for rows in vectors]))
    width = vectors[0].shape[1]
    count, total, square = 0, np.zeros(width), np.zeros((width, width))
    for rows in vectors:
        directions = unit(rows).astype(np.float64)
        count += len(rows)
        total += directions.sum(axis=0)
        square += directions.T @ directions
    mean = total / count
    _, axes = np.linalg.eigh(square / count - np.outer(mean, mean))
    # Halves keep the artefact small, and rounding now keeps training and serving alike.
    half = np.float16
    return Lexicon(
        idf=np.clip(idf, 0.02, None).astype(half).astype(np.float32),
        mean=documents.mean(axis=0).astype(np.float32),
        token_mean=mean.astype(np.float32),
        projection=np.ascontiguousarray(axes[:, ::-1][:, :PROJECTED], dtype=np.float32),
    )


def _distinct_pairs(group: TeacherGroup) -> IntArray:
    """Pairs of different texts: identical ones never reach the model."""
    pairs = all_pairs(len(group.texts))
    different = [group.texts[i] != group.texts[j] for i, j in pairs.tolist()]
    return pairs[np.asarray(different, dtype=np.bool_)]
