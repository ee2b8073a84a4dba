"""Labelled texts into features: everything the head is fitted on, made once and kept on disk."""

from collections.abc import Iterable, Iterator, Sequence
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
from models.training.short_answers import MadeUpPairs, common_words, corrected, made_up

BATCH = 64
ONE_PAIR = np.asarray([[0, 1]], dtype=np.int64)
MADE_UP_WEIGHT = 4
"""How often each made-up pair counts, beside tens of thousands of the teacher's."""
PROJECTED = 64
"""Dimensions kept of a key token's vector; fewer lose accuracy, more gain none."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """Pairs of one prompt with labels that no person gave."""

    prompt: str
    features: Vectors
    """Shape (m, features)."""
    same: NDArray[np.bool_]
    """Shape (m,)."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Features and labels: of human pairs, of a teacher's groups, and of made-up short pairs."""

    lexicon: Lexicon
    features: Vectors
    """Of the human pairs, shape (pairs, features)."""
    similar: NDArray[np.bool_]
    labeler: IntArray
    """Index of each human pair's labeler."""
    prompts: list[str]
    groups: list[TeacherGroup]
    group_pairs: list[IntArray]
    """Per group, its pairs i < j of distinct texts, shape (m, 2)."""
    teaching: list[Teaching]
    """Those pairs of each group, then the made-up pairs of each prompt that has some."""


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
    unread = [text for text in rest if text not in known]
    known |= dict(zip(unread, _described(encoder, unread, lexicon), strict=True))

    features = np.concatenate(
        [
            pair_features([known[p.a], known[p.b]], known[p.prompt], ONE_PAIR, lexicon)
            for p in tqdm(pairs, desc="pair features", disable=None)
        ]
    )
    group_features = [
        pair_features([known[t] for t in group.texts], known[group.prompt], at, lexicon)
        for group, at in _with_pairs(tqdm(groups, desc="group features", disable=None))
    ]
    return _assemble(encoder, pairs, groups, lexicon, features, group_features)


def save_features(corpus: Corpus, path: Path) -> None:
    """Keeps the features, which take minutes; labels and texts are read again from their files."""
    np.savez(
        path,
        names=np.asarray(FEATURES),
        features=corpus.features,
        group_features=np.concatenate(
            [*(t.features for t in corpus.teaching[: len(corpus.groups)]), corpus.features[:0]]
        ),
        **{name: getattr(corpus.lexicon, name) for name in Lexicon.__slots__},
    )


def load_features(
    path: Path, encoder: TextEncoder, pairs: Sequence[HumanPair], groups: Sequence[TeacherGroup]
) -> Corpus:
    """The corpus of the same files again. Raises `ValueError` if the features have changed."""
    stored = np.load(path, allow_pickle=False)
    if stored["names"].tolist() != list(FEATURES) or len(stored["features"]) != len(pairs):
        raise ValueError(f"{path} was made from other data or other features; delete it")
    ends = np.cumsum([len(at) for _, at in _with_pairs(groups)])[:-1]
    return _assemble(
        encoder,
        pairs,
        groups,
        Lexicon(**{name: stored[name] for name in Lexicon.__slots__}),
        stored["features"],
        np.split(stored["group_features"], ends),
    )


def _assemble(
    encoder: TextEncoder,
    pairs: Sequence[HumanPair],
    groups: Sequence[TeacherGroup],
    lexicon: Lexicon,
    features: Vectors,
    group_features: Sequence[Vectors],
) -> Corpus:
    """Features with their labels: people's, the teacher's corrected, and those of made-up pairs."""
    names = sorted({pair.labeler for pair in pairs})
    common = common_words(text for pair in pairs for text in (pair.a, pair.b))
    taught = [
        Teaching(group.prompt, rows, corrected(group, at, common))
        for (group, at), rows in zip(_with_pairs(groups), group_features, strict=True)
    ]
    return Corpus(
        lexicon=lexicon,
        features=features,
        similar=np.asarray([pair.similar for pair in pairs]),
        labeler=np.asarray([names.index(pair.labeler) for pair in pairs]),
        prompts=[pair.prompt for pair in pairs],
        groups=list(groups),
        group_pairs=[at for _, at in _with_pairs(groups)],
        teaching=taught + [_taught(encoder, made, lexicon) for made in made_up(groups, seed=0)],
    )


def _taught(encoder: TextEncoder, made: MadeUpPairs, lexicon: Lexicon) -> Teaching:
    texts = [made.prompt, *(text for pair in made.texts for text in pair)]
    prompt, *phrases = _described(encoder, texts, lexicon)
    rows = [
        pair_features(phrases[2 * k : 2 * k + 2], prompt, ONE_PAIR, lexicon)
        for k in range(len(made.texts))
    ]
    return Teaching(
        made.prompt,
        np.tile(np.concatenate(rows), (MADE_UP_WEIGHT, 1)),
        np.tile(np.asarray(made.same), MADE_UP_WEIGHT),
    )


def _described(encoder: TextEncoder, texts: Sequence[str], lexicon: Lexicon) -> list[Description]:
    tokenized = encoder.tokenize(texts)
    vectors = (rows for batch in _encoded(encoder, tokenized, "texts") for rows in batch)
    return [
        describe(text, tokens, rows, lexicon)
        for text, tokens, rows in zip(texts, tokenized, vectors, strict=True)
    ]


def _encoded(
    encoder: TextEncoder, tokenized: Sequence[TokenizedText], name: str
) -> Iterable[list[Vectors]]:
    total = sum(len(text.ids) for text in tokenized)
    with tqdm(total=total, unit="token", desc=f"encode {name}", disable=None) as progress:
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


def _with_pairs(groups: Iterable[TeacherGroup]) -> Iterator[tuple[TeacherGroup, IntArray]]:
    """Each group with its pairs of different texts: identical ones never reach the model."""
    for group in groups:
        pairs = all_pairs(len(group.texts))
        different = [group.texts[i] != group.texts[j] for i, j in pairs.tolist()]
        yield group, pairs[np.asarray(different, dtype=np.bool_)]
