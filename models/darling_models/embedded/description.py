"""The description of one text: its salient tokens, the facts of its string, and sets of its words.

A description is made once, from the text alone, so it can be cached and compared with any other.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from darling_models.embedded.approach import Working
from darling_models.embedded.encoder import TokenizedText, Vectors
from darling_models.embedded.late_interaction import Keys, Lexicon, keys_of, unit
from darling_models.embedded.set_overlap import code_of, codes_of, distinct
from darling_models.embedded.strings.facts import Facts, facts
from darling_models.embedded.strings.sentences import ENDED
from darling_models.embedded.strings.words import WORD
from darling_models.protocol import IntArray, number_fault

MAX_SENTENCES = 1024
"""Sentences told apart in a text; those of a longer one are merged with their neighbours."""

SENTENCE = re.compile(rf"\n+|(?<=[.!?]){ENDED}[\"'”*)]*\s+|(?<=[。！？])")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
STARS = re.compile(r"\*\*")
QUOTE = re.compile(r"[\"“]")
QUOTE_END = re.compile(r"[\"”]")
STARS_OR_QUOTE = re.compile(r"\*\*|[\"“]")
BULLET = re.compile(r"^[^\S\n]*(?:[-*•]|\d+[.)])\s", re.M)
HEADING = re.compile(r"^[^\S\n]*#{1,6}\s|^\*\*[^*\n]+\*\*:?[^\S\n]*$", re.M)
SENTENCE_OPENERS = frozenset(("", ".", "!", "?", "\n", ":", "-", "#"))

SETS = ("token", "bigram", "trigram", "char", "number", "name", "emphasis", "first", "last", "word")
SHAPE = ("words", "lines", "bullets", "headings", "code", "questions")


@dataclass(frozen=True, slots=True)
class Description:
    tokens: int
    document: Vectors
    """Unit mean token vector, shape (hidden,)."""
    keys: Keys
    facts: Facts
    sets: dict[str, IntArray]
    """Sorted distinct codes, by the names of `SETS`."""
    shape: Vectors
    """log(1 + count) of what `SHAPE` names."""
    content: int
    """A code of the words in order, without case and punctuation."""
    working: Working | None = None
    """How the text comes to its answer, for the notion `approach`."""
    truncated: bool = False

    @property
    def nbytes(self) -> int:
        codes = sum(array.nbytes for array in self.sets.values())
        codes += 0 if self.working is None else self.working.nbytes
        own = self.document.nbytes + self.shape.nbytes + codes
        return own + self.keys.nbytes + self.facts.nbytes

    @property
    def fault(self) -> Exception | None:
        # Every other vector is made of the same token vectors, but for the working's.
        own = [self.document, *([] if self.working is None else [self.working.direction])]
        return number_fault(all(bool(np.isfinite(vector).all()) for vector in own))


def describe(
    text: str, tokenized: TokenizedText, vectors: Vectors, lexicon: Lexicon
) -> Description:
    """Describes `text` from its tokens and their (t, hidden) vectors."""
    words = [word.lower() for word in WORD.findall(text)]
    starts, codes = _sentences(text)
    return Description(
        tokens=len(tokenized.ids),
        document=unit(vectors.mean(axis=0, keepdims=True))[0],
        keys=keys_of(tokenized, vectors, starts, codes, lexicon),
        facts=facts(text),
        sets=_sets(text, tokenized.ids, words),
        shape=_shape(text, len(words)),
        content=_content(text),
    )


def _sentences(text: str) -> tuple[IntArray, IntArray]:
    """Where each sentence or line begins, and a code of its words in order."""
    starts = [0, *(match.end() for match in SENTENCE.finditer(text) if match.end() < len(text))]
    starts = sorted(set(starts))
    if len(starts) > MAX_SENTENCES:
        places = np.linspace(0, len(starts), MAX_SENTENCES, endpoint=False).astype(np.int64)
        starts = [starts[place] for place in places.tolist()]
    ends = [*starts[1:], len(text)]
    codes = [_content(text[start:end]) for start, end in zip(starts, ends, strict=True)]
    return np.asarray(starts, dtype=np.int64), np.asarray(codes, dtype=np.int64)


def _sets(text: str, ids: IntArray, words: list[str]) -> dict[str, IntArray]:
    lines = text.strip().splitlines() or [""]
    spans = [span for line in text.split("\n") for span in emphasised(line)]
    return {
        "token": distinct(ids),
        "bigram": distinct(ids[:-1] << 16 | ids[1:]),
        "trigram": distinct(ids[:-2] << 32 | ids[1:-1] << 16 | ids[2:]),
        "char": _char_grams(text),
        "number": codes_of(NUMBER.findall(text)),
        "name": codes_of(_names(text, short=len(words) <= 8)),
        "emphasis": codes_of(w for span in spans for w in WORD.findall(span.lower())[:12]),
        "first": codes_of(WORD.findall(lines[0].lower())[:30]),
        "last": codes_of(WORD.findall(lines[-1].lower())[-30:]),
        "word": codes_of(words),
    }


def emphasised(line: str) -> Iterator[str]:
    """What stands between two double stars or in quotation marks."""
    opening, position = STARS_OR_QUOTE, 0
    while mark := opening.search(line, position):
        stars = mark.group() == "**"
        end = (STARS if stars else QUOTE_END).search(line, mark.end() + 1)
        if end is not None:
            yield line[mark.end() : end.start()]
            position = end.end()
        elif opening is STARS_OR_QUOTE:
            # No later mark of this kind is closed either: the line is not searched for it again.
            opening, position = (QUOTE if stars else STARS), mark.end()
        else:
            return


def _char_grams(text: str) -> IntArray:
    """Codes of the byte 4-grams of the lower-cased text, white space collapsed."""
    padded = f" {' '.join(text.lower().split())} ".encode()
    data = np.frombuffer(padded, dtype=np.uint8).astype(np.int64)
    return distinct(data[:-3] << 24 | data[1:-2] << 16 | data[2:-1] << 8 | data[3:])


def _names(text: str, short: bool) -> Iterable[str]:
    """Capitalised words; in a longer text, not those that merely open a sentence."""
    for match in WORD.finditer(text):
        word = match.group()
        if word[0].isupper():
            before = text[max(0, match.start() - 8) : match.start()].rstrip(" *_\"'“(")[-1:]
            if short or before not in SENTENCE_OPENERS:
                yield word.lower()


def _shape(text: str, words: int) -> Vectors:
    counts = (
        words,
        sum(1 for line in text.splitlines() if line.strip()),
        len(BULLET.findall(text)),
        len(HEADING.findall(text)),
        text.count("```"),
        text.count("?"),
    )
    return np.log1p(np.asarray(counts, dtype=np.float32))


def _content(text: str) -> int:
    """A code of the words in order, without case and punctuation; of the text if it has no word."""
    return code_of(" ".join(WORD.findall(text.lower())) or text.strip())
