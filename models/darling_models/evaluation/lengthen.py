"""Longer pairs under the same labels.

People label texts of a few hundred words; groups hold texts of thousands. To measure long texts
without new labels, both sides of a labelled pair get the same neutral sentences, the same number in
the same order: some before the text, some after, the rest spread over the breaks between its lines.
What is added is on both sides and answers nothing, so it can neither give a user of one side
something new in the other nor take it away: the label stands.

The sentences are filled in from one fixed grammar (a valley, its people, its seasons): 40,000
different ones, so that 8,000 words repeat none, drawn from a generator seeded by the pair. The
answer becomes ever harder to find, as in a needle in a haystack: scores that weigh words by their
number approach 1 for every pair. Sets of words do not, because the grammar has few.

Pairs longer than a target are left out of it, since nothing can be cut from them under their label.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from darling_models.keys import pair_key
from darling_models.labelled_data import HumanPair
from darling_models.training.augment.padding import spread

TARGETS = (100, 400, 2000, 8000)
"""Words of the longer side of a pair, after lengthening."""

WHO = (
    "The baker", "A neighbour", "The ferryman", "An old teacher", "The gardener",
    "A young couple", "The postman", "A visiting painter", "The carpenter", "A shepherd",
)  # fmt: skip
DID = (
    "walked slowly past", "stopped to look at", "told a story about", "made a drawing of",
    "waited for an hour beside", "once repaired", "had never noticed", "spoke kindly of",
    "swept the leaves from", "took a photograph of",
)  # fmt: skip
WHAT = (
    "the stone bridge", "the wooden bench", "the little station", "the red boathouse",
    "the village hall", "the orchard wall", "the quiet harbour", "the oldest lime tree",
    "the market square", "the narrow footpath",
)  # fmt: skip
WHEN = (
    "on a mild morning in early spring", "before the first snow of the year",
    "while the fog was lifting from the river", "on the last warm evening of September",
    "after the rain had stopped", "as the church bell rang seven", "during the long dry summer",
    "on the way home from the market", "in the pale light of a winter afternoon",
    "when the swallows had just returned",
)  # fmt: skip
END = ("", ", and then went on", ", as on any other day", ", without any hurry")
SLOTS = (WHO, DID, WHAT, WHEN, END)


def lengthen(pairs: Sequence[HumanPair], words: int) -> list[HumanPair]:
    """The pairs that are not longer, with their longer side brought to about `words` words."""
    return [_lengthened(pair, words) for pair in pairs if longest(pair) <= words]


def longest(pair: HumanPair) -> int:
    """Words of the longer side."""
    return max(len(pair.a.split()), len(pair.b.split()))


def _lengthened(pair: HumanPair, words: int) -> HumanPair:
    seed = int.from_bytes(pair_key(pair.prompt, pair.a, pair.b))
    filler = neutral_sentences(words - longest(pair), seed)
    return replace(pair, a=spread(pair.a, filler), b=spread(pair.b, filler))


def neutral_sentences(words: int, seed: int) -> list[str]:
    """Different sentences, together about `words` words and never more."""
    sentences: list[str] = []
    shape = [len(slot) for slot in SLOTS]
    order = np.random.default_rng(seed).permutation(int(np.prod(shape)))
    for number in order:
        places = np.unravel_index(number, shape)
        *parts, end = (slot[i] for slot, i in zip(SLOTS, places, strict=True))
        sentence = " ".join(parts) + end + "."
        words -= len(sentence.split())
        if words < 0:
            break
        sentences.append(sentence)
    return sentences
