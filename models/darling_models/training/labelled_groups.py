"""The one form of everything that is learnt from: texts to one prompt, some pairs of them labelled.

A group's texts are read once and all its labelled pairs share them. Labels are soft: a target says
how probable it is that two texts are equivalent, given what the label says and how often such
labels are wrong.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from darling_models.labelled_data import UNKNOWN, HumanPair, TeacherGroup
from darling_models.protocol import FloatArray, IntArray, all_pairs

UNSURE = 0.15
"""How much more often a label is wrong of whose group its reader was not sure at all."""
MAX_WRONG = 0.49
"""Share of labels that are wrong at most, so that a softened label still says what it said."""
UNSURE_WEIGHT = 0.4
"""How often pairs of such a group are drawn, beside 1 for a reader who was sure."""
MAX_PAIRS_TOGETHER = 24
"""Pairs of one prompt in one group at most, so that a group fits a step of tuning."""
UNLETTERED = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Noise:
    """How often a label is wrong, by what it says."""

    same: float = 0.05
    different: float = 0.05

    def targets(self, same: NDArray[np.bool_], sure: float = 1.0) -> FloatArray:
        """Probabilities that pairs with these labels are equivalent, shape (m,)."""
        more = UNSURE * (1 - sure)
        wrong_same, wrong_different = (
            min(wrong + more, MAX_WRONG) for wrong in (self.same, self.different)
        )
        targets: FloatArray = np.where(same, 1 - wrong_same, wrong_different)
        return targets


@dataclass(frozen=True, slots=True, eq=False)
class LabelledGroup:
    prompt: str
    texts: tuple[str, ...]
    """Distinct texts."""
    pairs: IntArray
    """Indices of two texts, shape (m, 2)."""
    target: FloatArray
    """How probable it is that the two are equivalent, shape (m,)."""
    source: int
    """Index of the source that it comes from."""
    weight: float = 1.0
    """How often each of its pairs is drawn, beside others of its source."""
    labeler: str | None = None
    """The person who labelled the pairs; None: nobody in particular."""
    tied: str = ""
    """Groups of one source with the same name are kept in one fold; "" ties nothing."""
    stored: TeacherGroup | None = None
    """The partitioned group that the labels come from, if they come from one."""

    @property
    def same(self) -> NDArray[np.bool_]:
        """What the labels say, shape (m,)."""
        same: NDArray[np.bool_] = self.target > 0.5
        return same


def of_groups(groups: Iterable[TeacherGroup], source: int, noise: Noise) -> Iterator[LabelledGroup]:
    """Partitioned groups, of which every pair of different texts is labelled."""
    for group in groups:
        texts = tuple(dict.fromkeys(group.texts))
        if len(texts) < 2:
            continue
        classes = group.partition[[group.texts.index(text) for text in texts]]
        pairs = all_pairs(len(texts))
        yield LabelledGroup(
            group.prompt,
            texts,
            pairs,
            noise.targets(classes[pairs[:, 0]] == classes[pairs[:, 1]], group.sure),
            source,
            weight=UNSURE_WEIGHT + (1 - UNSURE_WEIGHT) * group.sure,
            stored=group,
        )


def of_pairs(pairs: Iterable[HumanPair], source: int, noise: Noise) -> Iterator[LabelledGroup]:
    """Labelled pairs of different texts, those of one prompt and labeler together."""
    rows: dict[tuple[str, str, str], list[HumanPair]] = {}
    for pair in pairs:
        if pair.a != pair.b:
            rows.setdefault((pair.prompt, pair.labeler, pair.tied), []).append(pair)
    for (prompt, labeler, tied), labelled in rows.items():
        for start in range(0, len(labelled), MAX_PAIRS_TOGETHER):
            part = labelled[start : start + MAX_PAIRS_TOGETHER]
            place = {text: k for k, text in enumerate(_texts(part))}
            yield LabelledGroup(
                prompt,
                tuple(place),
                np.asarray([(place[pair.a], place[pair.b]) for pair in part], dtype=np.int64),
                noise.targets(np.asarray([pair.similar for pair in part])),
                source,
                labeler=None if labeler == UNKNOWN else labeler,
                tied=tied,
            )


def _texts(pairs: Sequence[HumanPair]) -> list[str]:
    return list(dict.fromkeys(text for pair in pairs for text in (pair.a, pair.b)))


def not_labelled_in(
    earlier: Iterable[LabelledGroup], groups: Iterable[LabelledGroup]
) -> list[LabelledGroup]:
    """The groups without the pairs that earlier sources have labelled already."""
    known = {key for group in earlier for key in _keys(group)}
    left = []
    for group in groups:
        fresh = np.asarray([key not in known for key in _keys(group)])
        if fresh.all():
            left.append(group)
        elif fresh.any():
            left.append(
                replace(group, pairs=group.pairs[fresh], target=group.target[fresh], stored=None)
            )
    return left


def _keys(group: LabelledGroup) -> Iterator[tuple[str, frozenset[str]]]:
    for i, j in group.pairs.tolist():
        yield group.prompt, frozenset((group.texts[i], group.texts[j]))


def fold_keys(groups: Sequence[LabelledGroup]) -> list[str]:
    """A name for each group, the same for those that must be in one fold: those of one prompt, up
    to case and punctuation, and those that their source ties together."""
    names: dict[object, int] = {}

    def number(name: object) -> int:
        return names.setdefault(name, len(names))

    prompts = [number(UNLETTERED.sub("", g.prompt.lower()) or g.prompt) for g in groups]
    tied = [
        number((group.source, group.tied)) if group.tied else prompt
        for group, prompt in zip(groups, prompts, strict=True)
    ]
    links = coo_matrix((np.ones(len(tied)), (prompts, tied)), (len(names), len(names)))
    _, parts = connected_components(links, directed=False)
    return [str(parts[prompt]) for prompt in prompts]
