"""Copies of labelled groups whose short answers stand in polite words: the labels stay.

A policy that is paid for diversity finds polite words sooner than new answers, so a classifier must
not take them for one.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from darling_models.protocol import all_pairs
from darling_models.training.augment.phrases import BARE, some_of, wrap
from darling_models.training.labelled_groups import LabelledGroup

MAX_WORDS = 60
"""Words of an answer that is wrapped: around a longer one, polite words hardly count."""
FRAMED_WORDS = 14
"""Words of an answer on one line up to which it also gets a frame."""
MIN_ANSWERS, MAX_ANSWERS = 3, 7
EDGES = 0.55
"""How often a wrapped answer has an opening, and a closing."""
ONE_ANSWER = 0.98
"""How probable it is that one answer in two wrappings is one answer."""
BARE_TOO = 0.5
"""How often the answer also stands as it was."""
ENGLISH = 0.9
"""Share of ASCII characters from which a text passes for English, as the phrases are."""


def wrapped(groups: Sequence[LabelledGroup], random: np.random.Generator) -> list[LabelledGroup]:
    """A wrapped copy of each group that a partition labels and that has short answers."""
    copies = []
    for group in groups:
        if group.stored is None:
            continue
        short = [k for k, text in enumerate(group.texts) if _short(text)]
        if len(short) >= MIN_ANSWERS:
            copies.append(_copy(group, some_of(short, MAX_ANSWERS, random), random))
    return copies


def _copy(group: LabelledGroup, answers: list[int], random: np.random.Generator) -> LabelledGroup:
    texts: dict[str, int] = {}
    for answer in answers:
        text = group.texts[answer].strip()
        if random.random() < BARE_TOO:
            texts.setdefault(group.texts[answer], answer)
        framed = len(text.split()) <= FRAMED_WORDS and "\n" not in text
        texts.setdefault(wrap(text, random, EDGES, BARE if framed else ("{}",)), answer)
    count = len(group.texts)
    target = np.full((count, count), ONE_ANSWER)
    rows, columns = group.pairs.T
    target[rows, columns] = target[columns, rows] = group.target
    pairs, origin = all_pairs(len(texts)), list(texts.values())
    return replace(
        group,
        texts=tuple(texts),
        pairs=pairs,
        target=np.asarray([target[origin[i], origin[j]] for i, j in pairs.tolist()]),
        stored=None,
    )


def _short(text: str) -> bool:
    english = sum(character.isascii() for character in text) >= ENGLISH * max(len(text), 1)
    return 0 < len(text.split()) <= MAX_WORDS and english
