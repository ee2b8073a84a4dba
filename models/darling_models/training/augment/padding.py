"""Pairs padded with text that both sides share, so that the head learns to look past it.

A third of people's pairs come once more with sentences that others wrote to other prompts, the same
ones in the same order on both sides. They answer nothing, so the label stands; and because they are
real text, what is learnt does not hang on the grammar that long pairs are measured with
(`darling_models.evaluation.lengthen`). Made-up short pairs are padded likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from darling_models.embedded.description import SENTENCE
from darling_models.labelled_data import HumanPair
from darling_models.protocol import IntArray
from darling_models.training.augment.short_answers import MadeUpPairs

EVERY = 3
"""Every third pair is padded."""
MIN_WORDS, MAX_WORDS = 12, 1000
"""Words of padding in a pair; between the bounds, the logarithm of their number is uniform."""
MAX_WORDS_BESIDE_PHRASES = 200
"""Words of padding in a pair of made-up phrases at most."""
PAIR_WEIGHT, PHRASES_WEIGHT = 2, 10
"""How often a padded pair counts beside the one that it was made from. With less, two short answers
in the same padding still pass for equivalent; with more, unpadded pairs are judged worse."""
MIN_SENTENCE_WORDS = 4
"""Words that a sentence needs to be used as padding."""


def padded(pairs: Sequence[HumanPair], seed: int) -> tuple[list[HumanPair], IntArray]:
    """Returns (padded pairs, the index of the pair that each was made from); none for a pair that
    no text to another prompt has a sentence for."""
    random = np.random.default_rng(seed)
    donors = _donors(pairs)
    longer, sources = [], []
    for k in range(0, len(pairs), EVERY):
        pair = pairs[k]
        if filler := _filler(donors, pair.prompt, MAX_WORDS, random):
            longer.append(replace(pair, a=spread(pair.a, filler), b=spread(pair.b, filler)))
            sources.append(k)
    return longer, np.asarray(sources, dtype=np.int64)


def padded_phrases(
    made: Sequence[MadeUpPairs], pairs: Sequence[HumanPair], seed: int
) -> list[MadeUpPairs]:
    """The made-up pairs, one in `EVERY` of them padded."""
    random = np.random.default_rng(seed)
    donors = _donors(pairs)
    mixed = []
    for phrases in made:
        texts = list(phrases.texts)
        for k in np.flatnonzero(phrase_weights(len(texts)) > 1).tolist():
            filler = _filler(donors, phrases.prompt, MAX_WORDS_BESIDE_PHRASES, random)
            a, b = texts[k]
            texts[k] = spread(a, filler), spread(b, filler)
        mixed.append(replace(phrases, texts=texts))
    return mixed


def phrase_weights(count: int) -> IntArray:
    """How often each of a prompt's `count` made-up pairs counts, those that are padded more."""
    weights = np.ones(count, dtype=np.int64)
    weights[::EVERY] = PHRASES_WEIGHT
    return weights


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


def _donors(pairs: Sequence[HumanPair]) -> list[Donor]:
    """The first texts of pairs, of those that have a sentence that is long enough."""
    donors = []
    for pair in pairs:
        parts = [part.strip() for part in SENTENCE.split(pair.a)]
        if long := [part for part in parts if len(part.split()) >= MIN_SENTENCE_WORDS]:
            donors.append(Donor(pair.prompt, long))
    return donors


def _filler(
    donors: Sequence[Donor], prompt: str, most: int, random: np.random.Generator
) -> list[str]:
    """Sentences from texts to other prompts, with at least the drawn number of words together; none
    if there is no such text."""
    others = [donor for donor in donors if donor.prompt != prompt]
    if not others:
        return []
    wanted = int(np.exp(random.uniform(np.log(MIN_WORDS), np.log(most))))
    filler: list[str] = []
    while wanted > 0:
        sentences = others[int(random.integers(len(others)))].sentences
        start = int(random.integers(len(sentences)))
        for sentence in sentences[start : start + 8]:
            if wanted > 0:
                filler.append(sentence if sentence[-1] in ".!?:" else sentence + ".")
                wanted -= len(sentence.split())
    return filler
