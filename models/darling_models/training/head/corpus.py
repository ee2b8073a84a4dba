"""Everything the head is fitted on: features of labelled pairs, each by an encoder that has not
been tuned on its prompt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from shutil import rmtree

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from darling_models.embedded.encoder import Vectors
from darling_models.embedded.late_interaction import Lexicon
from darling_models.labelled_data import folds
from darling_models.protocol import FloatArray, IntArray
from darling_models.training.encoder.tuning import Tuned, TuningRecipe, tune
from darling_models.training.head.featurise import features_of, frozen_lexicon
from darling_models.training.labelled_groups import LabelledGroup, fold_keys
from darling_models.training.sources import Source
from darling_models.training.work_folder import WorkFolder, save_arrays


@dataclass(frozen=True)
class Corpus:
    """Labelled groups, and a row of features for each of their pairs, in order."""

    tuned: Tuned
    """What tuning on all rows gave; this is served."""
    sources: Sequence[Source]
    groups: Sequence[LabelledGroup]
    fold: IntArray
    """The fold of each row, equal for rows of one prompt, shape (rows,)."""
    features: Vectors
    """Shape (rows, features)."""

    @cached_property
    def sizes(self) -> IntArray:
        """Rows of each group, shape (groups,)."""
        return np.asarray([len(group.pairs) for group in self.groups])

    @cached_property
    def target(self) -> FloatArray:
        """How probable it is that the two texts are equivalent, shape (rows,)."""
        return np.concatenate([group.target for group in self.groups])

    @property
    def similar(self) -> NDArray[np.bool_]:
        """What the labels say, shape (rows,)."""
        similar: NDArray[np.bool_] = self.target > 0.5
        return similar

    @cached_property
    def source(self) -> IntArray:
        """Index of each row's source, shape (rows,)."""
        return np.repeat([group.source for group in self.groups], self.sizes)

    @cached_property
    def labelers(self) -> list[str]:
        """The people who labelled pairs."""
        return sorted({group.labeler for group in self.groups if group.labeler is not None})

    @cached_property
    def labeler(self) -> IntArray:
        """Index of each row's labeler, or the number of people for nobody's, shape (rows,)."""
        place: dict[str | None, int] = {name: k for k, name in enumerate([*self.labelers, None])}
        return np.repeat([place[group.labeler] for group in self.groups], self.sizes)

    @cached_property
    def drawn(self) -> FloatArray:
        """How often each row is drawn: a source's rows together by its share, shape (rows,)."""
        own = np.repeat([group.weight for group in self.groups], self.sizes)
        return _spread(own, self.source, [source.share for source in self.sources])

    @cached_property
    def calibrating(self) -> FloatArray:
        """How much each row counts in calibration and thresholds, shape (rows,)."""
        return _spread(
            np.ones(len(self.source)), self.source, [s.calibration for s in self.sources]
        )


def _spread(own: FloatArray, source: IntArray, totals: Sequence[float]) -> FloatArray:
    """Weights in the proportions of `own` within a source, which has `totals` together."""
    sums = np.bincount(source, own, minlength=len(totals))
    weights: FloatArray = own * (np.asarray(totals) / np.maximum(sums, 1e-12))[source]
    return weights


def build(
    workplace: WorkFolder,
    sources: Sequence[Source],
    groups: Sequence[LabelledGroup],
    tuning: TuningRecipe | None,
    fold_count: int,
    begun: Tuned,
) -> Corpus:
    """Reads every text: once without tuning, by the encoder `begun`, which must have seen none of
    the labels; else once per fold by the encoder tuned for that fold.

    Raises `ValueError` if the folder keeps the work of other rows or choices.
    """
    shares = {number: source.share for number, source in enumerate(sources)}
    workplace.begin(groups, shares, tuning, fold_count, begun if tuning is None else None)
    fold = folds(fold_keys(groups), fold_count, workplace.seed)
    if tuning is None:
        tuned = begun
        encoder = workplace.encoder(begun.layers)
        kept = workplace.folder / "features.npz"
        features = _kept(kept, lambda: features_of(encoder, begun.lexicon, groups))
    else:
        texts = list(dict.fromkeys(text for group in groups for text in group.texts))
        start = frozen_lexicon(workplace.encoder(), texts, workplace.seed)
        features = _out_of_fold(workplace, start, groups, shares, tuning, fold)
        tuned = _tune(workplace, "all", start, groups, shares, tuning)
    sizes = [len(group.pairs) for group in groups]
    return Corpus(tuned, sources, groups, np.repeat(fold, sizes), np.concatenate(features))


def _out_of_fold(
    workplace: WorkFolder,
    start: Lexicon,
    groups: Sequence[LabelledGroup],
    shares: Mapping[int, float],
    tuning: TuningRecipe,
    fold: IntArray,
) -> list[Vectors]:
    """Each group's features by an encoder tuned without the prompts of the group's fold."""
    features: dict[int, Vectors] = {}
    for k in range(int(fold.max()) + 1):
        members = np.flatnonzero(fold == k).tolist()
        held = [groups[member] for member in members]
        others = [groups[member] for member in np.flatnonzero(fold != k).tolist()]
        name = f"fold-{k}"
        make = partial(_read_fold, workplace, name, start, held, others, shares, tuning)
        parts = _kept(workplace.folder / name / "features.npz", make)
        features |= zip(members, parts, strict=True)
    return [features[member] for member in range(len(groups))]


def _read_fold(
    workplace: WorkFolder,
    name: str,
    start: Lexicon,
    held: Sequence[LabelledGroup],
    others: Sequence[LabelledGroup],
    shares: Mapping[int, float],
    tuning: TuningRecipe,
) -> list[Vectors]:
    """Features of the held-out groups by an encoder tuned on the others."""
    tuned = _tune(workplace, name, start, others, shares, tuning)
    return features_of(workplace.encoder(tuned.layers), tuned.lexicon, held)


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
    groups: Sequence[LabelledGroup],
    shares: Mapping[int, float],
    tuning: TuningRecipe,
) -> Tuned:
    """What tuning on these groups gives, or gave in an earlier run that kept it."""
    folder = workplace.folder / name
    layers, words = folder / "layers.safetensors", folder / "lexicon.npz"
    if not words.exists():
        checkpoints = folder / "checkpoints"
        encoder = workplace.encoder()
        tuned = tune(encoder, start, groups, shares, tuning, workplace.seed, checkpoints)
        save_file(tuned.layers, layers)
        arrays = {name: getattr(tuned.lexicon, name) for name in Lexicon.__slots__}
        save_arrays(words, **arrays)
        rmtree(checkpoints)
    return Tuned(load_file(layers), Lexicon(**np.load(words, allow_pickle=False)))
