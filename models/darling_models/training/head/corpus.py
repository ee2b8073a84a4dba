"""Everything the head is fitted on: features of labelled rows, each by an encoder that has not been
tuned on its prompt."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from shutil import rmtree

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from darling_models.embedded.encoder import Vectors
from darling_models.embedded.features import FEATURES
from darling_models.embedded.late_interaction import Lexicon
from darling_models.labelled_data import HumanPair, TeacherGroup, folds
from darling_models.protocol import IntArray
from darling_models.training.augment.padding import padded, padded_phrases, phrase_weights
from darling_models.training.augment.short_answers import (
    MadeUpPairs,
    common_words,
    corrected,
    made_up,
)
from darling_models.training.encoder.examples import (
    LabelledGroups,
    from_people,
    from_phrases,
    from_teacher,
)
from darling_models.training.encoder.tuning import Tuned, TuningRecipe, tune
from darling_models.training.head.featurise import (
    Rows,
    different_pairs,
    features_of,
    frozen_lexicon,
)
from darling_models.training.work_folder import WorkFolder, save_arrays

TUNING_FOLDS = 5
"""Encoders tuned at most for cross-validation: of ten folds, each is tuned without two."""
MADE_UP_WEIGHT = 4
"""How often each made-up pair counts, beside tens of thousands of the teacher's."""


@dataclass(frozen=True, slots=True)
class TeacherPairs:
    """Pairs of one prompt with labels that no person gave."""

    prompt: str
    features: Vectors
    """Shape (m, features)."""
    same: NDArray[np.bool_]
    """Shape (m,)."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Features and labels: of human pairs, of a teacher's groups, and of made-up short pairs."""

    tuned: Tuned
    """What tuning on all rows gave; this is served."""
    features: Vectors
    """Features of the human pairs, shape (pairs, features)."""
    similar: NDArray[np.bool_]
    labeler: IntArray
    """Index of each human pair's labeler."""
    prompts: list[str]
    padded: Vectors
    """Features of human pairs padded with text that both sides share, shape (padded, features)."""
    padded_from: IntArray
    """Index of the human pair that each was made from, shape (padded,)."""
    groups: list[TeacherGroup]
    group_pairs: list[IntArray]
    """Per group, its pairs i < j of distinct texts, shape (m, 2)."""
    teaching: list[TeacherPairs]
    """Those pairs of each group, then the made-up pairs of each prompt that has some."""


def build(
    workplace: WorkFolder,
    pairs: list[HumanPair],
    groups: list[TeacherGroup],
    tuning: TuningRecipe | None,
    fold_count: int,
    begun: Tuned,
) -> Corpus:
    """Reads every text: once without tuning, by the encoder `begun`, which must have seen none of
    the labels; else once per fold by the encoder tuned for that fold."""
    longer, padded_from = padded(pairs, seed=0)
    rows = Rows(pairs, longer, groups, padded_phrases(made_up(groups, seed=0), pairs, seed=0))
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.a, pair.b)))
    common = common_words(text for pair in pairs for text in (pair.a, pair.b))
    workplace.begin(rows, tuning, fold_count, begun if tuning is None else None)
    if tuning is None:
        tuned = begun
        kept = workplace.folder / "features.npz"
        encoder = workplace.encoder(begun.layers)
        features = _kept(kept, lambda: features_of(encoder, begun.lexicon, rows))
    else:
        start = frozen_lexicon(workplace.encoder(), texts, workplace.seed)
        labelled = LabelledGroups(
            from_teacher(groups, [different_pairs(g.texts) for g in groups], common),
            from_people(pairs),
            from_phrases(rows.made),
        )
        fold = folds(rows.prompts(), fold_count, workplace.seed) % TUNING_FOLDS
        features = _out_of_fold(workplace, start, rows, labelled, tuning, fold)
        tuned = _tune(workplace, "all", start, labelled, tuning)
    return _assemble(tuned, rows, padded_from, features, common)


def _out_of_fold(
    workplace: WorkFolder,
    start: Lexicon,
    rows: Rows,
    labelled: LabelledGroups,
    tuning: TuningRecipe,
    fold: IntArray,
) -> list[Vectors]:
    """Each row's features by an encoder tuned without the prompts of the row's fold."""
    prompts = rows.prompts()
    features: list[Vectors | None] = [None] * len(prompts)
    for k in range(int(fold.max()) + 1):
        members = np.flatnonzero(fold == k).tolist()
        held = {prompts[row] for row in members}
        name = f"fold-{k}"
        make = partial(
            _read_fold,
            *(workplace, name, start, rows.only(held), labelled.without(held), tuning),
        )
        parts = _kept(workplace.folder / name / "features.npz", make)
        for row, part in zip(members, parts, strict=True):
            features[row] = part
    return [part for part in features if part is not None]


def _read_fold(
    workplace: WorkFolder,
    name: str,
    start: Lexicon,
    rows: Rows,
    others: LabelledGroups,
    tuning: TuningRecipe,
) -> list[Vectors]:
    """Features of the rows by an encoder tuned on the others."""
    tuned = _tune(workplace, name, start, others, tuning)
    return features_of(workplace.encoder(tuned.layers), tuned.lexicon, rows)


def _kept(path: Path, make: Callable[[], list[Vectors]]) -> list[Vectors]:
    """What `make` gives, made once and then read from `path`."""
    if not path.exists():
        parts = make()
        sizes = np.asarray([len(part) for part in parts])
        save_arrays(path, sizes=sizes, values=np.concatenate(parts))
    stored = np.load(path, allow_pickle=False)
    return list(np.split(stored["values"], np.cumsum(stored["sizes"])[:-1]))


def _tune(
    workplace: WorkFolder,
    name: str,
    start: Lexicon,
    labelled: LabelledGroups,
    tuning: TuningRecipe,
) -> Tuned:
    """What tuning on these groups gives, or gave in an earlier run that kept it."""
    folder = workplace.folder / name
    layers, words = folder / "layers.safetensors", folder / "lexicon.npz"
    if not words.exists():
        tuned = tune(
            workplace.encoder(), start, labelled, tuning, workplace.seed, folder / "checkpoints"
        )
        save_file(tuned.layers, layers)
        arrays = {name: getattr(tuned.lexicon, name) for name in Lexicon.__slots__}
        save_arrays(words, **arrays)
        rmtree(folder / "checkpoints")
    return Tuned(load_file(layers), Lexicon(**np.load(words, allow_pickle=False)))


def _assemble(
    tuned: Tuned,
    rows: Rows,
    padded_from: IntArray,
    features: list[Vectors],
    common: frozenset[str],
) -> Corpus:
    """Features with their labels: people's, the teacher's corrected, and those of made-up pairs."""
    names = sorted({pair.labeler for pair in rows.pairs})
    edges = [0, *np.cumsum([len(rows.pairs), len(rows.padded), len(rows.groups)]), len(features)]
    human, longer, taught, made = (features[start:end] for start, end in pairwise(edges))
    group_pairs = [different_pairs(group.texts) for group in rows.groups]
    return Corpus(
        tuned=tuned,
        features=np.concatenate(human),
        similar=np.asarray([pair.similar for pair in rows.pairs]),
        labeler=np.asarray([names.index(pair.labeler) for pair in rows.pairs]),
        prompts=[pair.prompt for pair in rows.pairs],
        padded=np.concatenate([np.empty((0, len(FEATURES)), np.float32), *longer]),
        padded_from=padded_from,
        groups=rows.groups,
        group_pairs=group_pairs,
        teaching=[
            *(
                TeacherPairs(group.prompt, values, corrected(group, at, common))
                for group, at, values in zip(rows.groups, group_pairs, taught, strict=True)
            ),
            *(
                _repeated(phrases, values, MADE_UP_WEIGHT * phrase_weights(len(values)))
                for phrases, values in zip(rows.made, made, strict=True)
            ),
        ],
    )


def _repeated(phrases: MadeUpPairs, features: Vectors, times: IntArray) -> TeacherPairs:
    same = np.asarray(phrases.same, dtype=np.bool_)
    return TeacherPairs(phrases.prompt, np.repeat(features, times, axis=0), np.repeat(same, times))
