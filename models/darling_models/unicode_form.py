"""Unicode's compatibility form (NFKC) of words, in time that grows with their length only.

`unicodedata.normalize` sorts a run of combining marks in time that grows with the square of its
length, and holds the interpreter's lock for a whole text.
"""

import unicodedata
from collections.abc import Iterator

PIECE_CHARS = 256
"""Characters that are normalised in one call, a few more where the next ones belong together. Words
of any language are shorter, and sorting as many marks takes less than 0.1 ms."""
MAX_MARKS = 32
"""Marks on one character that are kept together when a piece ends; Unicode's stream-safe text
format allows 30."""


def compatible(word: str) -> str:
    """NFKC of a word without white space."""
    if word.isascii():
        return word
    return "".join(unicodedata.normalize("NFKC", piece) for piece in _pieces(word))


def _pieces(word: str) -> Iterator[str]:
    """Parts of a word that compose with nothing outside them, but for marks beyond `MAX_MARKS`."""
    start = 0
    while len(word) - start > PIECE_CHARS:
        first = start + PIECE_CHARS
        last = min(first + MAX_MARKS, len(word))
        end = next((i for i in range(first, last) if _stands_alone(word[i])), last)
        yield word[start:end]
        start = end
    yield word[start:]


def _stands_alone(character: str) -> bool:
    """Whether the character composes with nothing before it."""
    first = unicodedata.normalize("NFKD", character)[0]
    in_hangul_syllable = "\u1160" <= first <= "\u11ff"
    return not in_hangul_syllable and not unicodedata.category(first).startswith("M")
