"""Texts that a tokenizer cannot tell apart: their tokens are equal, and the texts are not.

A tokenizer writes one unknown token for whatever its vocabulary lacks, and leaves some characters
out. A model then reads "I like \N{OCTOPUS}" and "I like \N{CACTUS}" as the same text and calls
them equivalent. Such texts are told apart here by the characters that were lost. Texts whose tokens
are equal although nothing was lost differ in case, accents or white space: there the model decides.
"""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from darling_models.protocol import IntArray, text_unit

INVISIBLE = frozenset({"Cc", "Cf"})
"""Unicode categories of characters that show nothing: control and format characters."""
VARIATION_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Characters that choose between two looks of the one before, such as of an emoji."""


@dataclass(frozen=True)
class Reading:
    """What a tokenizer makes of a text."""

    text: str
    encoding: Encoding
    unknown: int | None
    """Id of the unknown token."""

    @cached_property
    def lost(self) -> str:
        """The visible characters that no known token stands for, in one form and case."""
        covered = bytearray(len(self.text))
        for token, (start, end) in zip(self.encoding.ids, self.encoding.offsets, strict=True):
            if token != self.unknown:
                covered[start:end] = b"\1" * (end - start)
        kept = (
            character
            for character, known in zip(self.text, covered, strict=True)
            if not known and _visible(character)
        )
        return unicodedata.normalize("NFKC", "".join(kept)).casefold()


def readings_of(
    tokenizer: Tokenizer, texts: Collection[str], unknown: int | None
) -> dict[str, Reading]:
    """A reading of each text, by text. `unknown` is the id of the unknown token, if any."""
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    encodings = tokenizer.encode_batch(composed, add_special_tokens=False)
    return {
        text: Reading(one_form, encoding, unknown)
        for text, one_form, encoding in zip(texts, composed, encodings, strict=True)
    }


def confused(a: Reading, b: Reading) -> bool:
    """Whether the two texts have equal tokens although the tokenizer lost different characters."""
    return a.encoding.ids == b.encoding.ids and a.lost != b.lost


def confused_pairs(
    tokenizer: Tokenizer,
    unknown: int | None,
    texts: Sequence[str],
    pairs: IntArray,
    vectors: Mapping[bytes, NDArray[Any]],
) -> NDArray[np.bool_]:
    """Whether the tokenizer cannot tell the two texts of each pair apart, shape (m,).

    `vectors` are those of the texts, by their unit keys: equal tokens have given equal vectors.
    """
    own = {i: vectors[text_unit(texts[i]).key].tobytes() for i in np.unique(pairs).tolist()}
    alike = [
        (place, texts[i], texts[j])
        for place, (i, j) in enumerate(pairs.tolist())
        if own[i] == own[j] and texts[i] != texts[j]
    ]
    readings = readings_of(tokenizer, {text for _, *pair in alike for text in pair}, unknown)
    answers = np.zeros(len(pairs), dtype=np.bool_)
    for place, a, b in alike:
        answers[place] = confused(readings[a], readings[b])
    return answers


def _visible(character: str) -> bool:
    return not (
        character.isspace()
        or character in VARIATION_SELECTORS
        or unicodedata.category(character) in INVISIBLE
    )
