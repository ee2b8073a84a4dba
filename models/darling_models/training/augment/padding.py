"""Pairs padded with text that both sides share, so that a classifier learns to look past it.

Some pairs come once more with sentences that others wrote to other prompts, the same ones in the
same order on both sides. They answer nothing, so the label stands; and because they are real text,
what is learnt does not hang on the grammar that long pairs are measured with
(`darling_models.evaluation.lengthen`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from darling_models.embedded.description import SENTENCE
from darling_models.training.augment.phrases import one_of
from darling_models.training.labelled_groups import LabelledGroup

EVERY = 3
"""Every third group is padded."""
MAX_PAIRS = 3
"""Pairs of a group that are padded, of its first texts: all of them would take minutes to read."""
MIN_WORDS, MAX_WORDS = 12, 1000
"""Words of padding in a text; between the bounds, the logarithm of their number is uniform."""
MIN_SENTENCE_WORDS = 4
"""Words that a sentence needs to be used as padding."""
MAX_SENTENCES_IN_A_ROW = 8


def padded(groups: Sequence[LabelledGroup], random: np.random.Generator) -> list[LabelledGroup]:
    """A padded copy of every third group that a text to another prompt has a sentence for."""
    donors = _donors(groups)
    copies = []
    for group in groups[::EVERY]:
        if filler := _filler(donors, group.prompt, random):
            copies.append(_copy(group, filler))
    return copies


def _copy(group: LabelledGroup, filler: Sequence[str]) -> LabelledGroup:
    pairs = group.pairs[:MAX_PAIRS]
    used, places = np.unique(pairs, return_inverse=True)
    return replace(
        group,
        texts=tuple(spread(group.texts[k], filler) for k in used.tolist()),
        pairs=places.reshape(pairs.shape),
        target=group.target[:MAX_PAIRS],
        stored=None,
    )


def spread(text: str, filler: Sequence[str]) -> str:
    """The filler spread evenly before, between and after the lines of a text."""
    lines = text.split("\n")
    cuts = np.linspace(0, len(filler), len(lines) + 2).round().astype(int)
    blocks = [" ".join(filler[a:b]) for a, b in pairwise(cuts)]
    mixed = [blocks[0]]
    for line, block in zip(lines, blocks[1:], strict=True):
        mixed += [line, block]
    return "\n".join(part for part in mixed if part)


@dataclass(frozen=True, slots=True)
class Donor:
    """A text whose sentences may pad others."""

    prompt: str
    sentences: list[str]


def _donors(groups: Sequence[LabelledGroup]) -> list[Donor]:
    """The first texts of groups, of those that have a sentence that is long enough."""
    donors = []
    for group in groups:
        parts = [part.strip() for part in SENTENCE.split(group.texts[0])]
        if long := [part for part in parts if len(part.split()) >= MIN_SENTENCE_WORDS]:
            donors.append(Donor(group.prompt, long))
    return donors


def _filler(donors: Sequence[Donor], prompt: str, random: np.random.Generator) -> list[str]:
    """Sentences from texts to other prompts, with at least the drawn number of words together; none
    if there is no such text."""
    others = [donor for donor in donors if donor.prompt != prompt]
    if not others:
        return []
    wanted = int(np.exp(random.uniform(np.log(MIN_WORDS), np.log(MAX_WORDS))))
    filler: list[str] = []
    while wanted > 0:
        sentences = one_of(others, random).sentences
        start = int(random.integers(len(sentences)))
        for sentence in sentences[start : start + MAX_SENTENCES_IN_A_ROW]:
            if wanted > 0:
                filler.append(sentence if sentence[-1] in ".!?:" else sentence + ".")
                wanted -= len(sentence.split())
    return filler
