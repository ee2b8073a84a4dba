"""The words of a text, in a form that is compared.

Case and accents make no difference, but where they tell words apart: an option's "A" is no article,
"US" no pronoun, and "C#" and "B+" are more than their letters.
"""

import re
import unicodedata
from collections.abc import Sequence

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
TERM = re.compile(
    r"""
    (?P<dotted>(?<![^\W_])(?:[A-Za-z]\.(?:[ ]?[A-Za-z]\.)+|[A-Za-z](?:\.[A-Za-z])+(?![^\W_])))
  | (?P<letter>(?<![^\W_])(?:
        [A-Z]{1,2}(?:\+{1,2}|\#|[-−](?![\w-]))
      | (?:[b-df-hj-np-tv-xzB-HJ-Z]|US|WHO)(?!\.?[^\W_])
      | [aeouyA](?![ ]?[^\W_])
      | [iI](?=[.)\]*_:"”]|\s*\Z)(?!\.[^\W_])
      | (?<=[a-z,;:][ ])A(?=[ ][a-z])
    )(?!['’]?[^\W_]))
  | [^\W_]+(?:['’][^\W_]+)*
    """,
    re.VERBOSE,
)
"""Letters that stand for themselves; initials and abbreviations, with spaces or without; words."""
ACCENT = re.compile("[\u0300-\u036f]")
ENDINGS = {
    "s": (("ies", 5), ("es", 5), ("s", 4)),
    "g": (("ing", 6),),
    "d": (("ed", 5),),
    "e": (("e", 4),),
    "y": (("y", 5),),
}
"""Endings that are taken off words of at least so many letters, by their last letter."""


def words(text: str) -> list[str]:
    """The words of a text in lower case and without accents; letters that stand for themselves in
    upper case."""
    read = []
    for match in TERM.finditer(text):
        word = match[0]
        if match["letter"]:
            read.append(word.upper().replace("−", "-"))
        elif match["dotted"]:
            word = word.lower().replace(".", "").replace(" ", "")
            read.append("US" if word == "us" else word)
        else:
            read.append(plain(word.lower()))
    return read


def plain(word: str) -> str:
    """A word without accents, with straight apostrophes."""
    if word.isascii():
        return word
    letters = unicodedata.normalize("NFD", word.replace("’", "'"))
    return unicodedata.normalize("NFC", ACCENT.sub("", letters))


def stem(word: str) -> str:
    """A word without its commonest endings, so that "kangaroos" is "kangaroo"."""
    word = word.removesuffix("'s")
    for ending, least in ENDINGS.get(word[-1:], ()):
        if len(word) >= least and word.endswith(ending) and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def stems(words: Sequence[str]) -> list[str]:
    """The stem of each word."""
    known = {word: stem(word) for word in set(words)}
    return [known[word] for word in words]
