"""What a text says by its string alone: sets of codes, a direction on axes, and a few flags.

Facts are read once from a text, in time linear in it, and hold for any pair and prompt.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from darling_models.embedded.set_overlap import codes_of
from darling_models.embedded.strings.chat_words import CHAT, STOPWORDS, carrying
from darling_models.embedded.strings.code_tokens import code, operations, shape, worded
from darling_models.embedded.strings.formulas import Formula, formula
from darling_models.embedded.strings.polarity import pointing
from darling_models.embedded.strings.quantities import Quantity, quantities
from darling_models.embedded.strings.sentences import ENDED
from darling_models.embedded.strings.words import WORD, stem, stems, words
from darling_models.embedded.strings.wrapping import core, lead, refuses
from darling_models.final_answers.extraction import BOX, HASHES, TAG, final_answer, marked_answer
from darling_models.final_answers.plain_form import folded, plain_form
from darling_models.protocol import IntArray
from darling_models.reasoning import part_reasoning

MAX_READING_CHARS = 200
"""Characters of the longest reading of an answer; a longer one is a passage and no answer."""
LEAD_WORDS = 16
"""Words of a lead that are looked at."""
KINDS = (
    *("value", "measure", "edge_value", "answer_value", "lead_value", "reading", "answer", "lead"),
    *("stress", "content", "affirmed", "denied", "surname", "operation", "code", "code_shape"),
    *("rare", "stem", "kernel", "order", "result", "assigned", "initialled", "sentence"),
    *("namesake", "named", "converted"),
)
"""The kinds of sets, in order."""
FLAGS = ("blank", "refuses", "stated", "unfinished", "code", "foreign", "repeats", "question")

STRESSED = re.compile(
    r"\*\*([^*\n]{1,120})\*\*|[\"“]([^\"”\n]{1,120})[\"”]|(?<!\*)\*([^*\n]{1,80})\*(?!\*)"
)
NAME = re.compile(r"(?:[A-Z]\.[ ]?){1,3}|[A-ZÀ-Þ][^\W\d_]+(?:['’-][^\W\d_]+)*")
SENTENCE = re.compile(rf"\n|(?<=[.!?]){ENDED}\s|[。！？]")
ASSIGNED = re.compile(r"(?<![A-Za-z])([A-Za-z])\s?=\s?(-?\d+(?:[./]\d+)?)(?![\w^])")
TITLES = frozenset(("mr", "mrs", "ms", "dr", "prof", "sir", "jr", "sr"))
"""Words beside a name that are no part of it."""
BEHIND = " \t\n*_\"'“”`.,:，："
"""What may stand behind a lead that is all of a text; not `!`, which may be a factorial, or `|`."""
FORMULA_BYTES = 512
"""Bytes that a formula and the codes of a text's words take in memory, at most."""
RIGHT = re.compile(r"[=≈≡]|\\approx|\\equiv")


@dataclass(frozen=True, slots=True)
class Facts:
    sets: tuple[IntArray, ...]
    """Sorted distinct codes of each of `KINDS`."""
    axes: NDArray[np.int8]
    """Where the whole text points, then where its lead does, shape (2 * AXES,)."""
    flags: NDArray[np.float32]
    """What `FLAGS` names, shape (flags,)."""
    worded: tuple[int, int]
    """Codes of the words and signs in order, and of the same without telling operators apart or
    numbers by their sign."""
    formula: Formula | None
    """The formula that is the whole answer, if it is one."""

    @property
    def nbytes(self) -> int:
        codes = sum(own.nbytes for own in self.sets)
        return codes + self.axes.nbytes + self.flags.nbytes + FORMULA_BYTES


def facts(text: str) -> Facts:
    parted = part_reasoning(text)
    body = parted.answer
    said = _straight(body)
    kernel = core(said)
    first = lead(kernel)
    final = final_answer(body)
    answer = final.readings[0] if final is not None else ""
    stated = final is not None and final.stated and len(answer) <= MAX_READING_CHARS
    if not stated:
        answer = ""
    kept = words(kernel)
    stemmed = stems(kept)
    content = [own for own, word in zip(stemmed, kept, strict=True) if word not in STOPWORDS]
    numbers = quantities(said)
    carried = stems(carrying(kept if kernel == said.strip() else words(said)))
    names = _names(kernel)
    whole_names = _whole_names(names)
    whole_axes, denied = pointing(said.lower())
    lead_axes, _ = pointing(f"{_opening(said)} {first}".lower())
    tokens = code(body)
    shaped = shape(tokens)
    denied_stems = {stem(word) for word in denied if word not in STOPWORDS}
    stressed = [next(filter(None, groups)) for groups in STRESSED.findall(said)]
    readings = [*(final.readings if stated and final else ()), first, kernel, *stressed]
    rare = [] if body.isascii() else [one for one in body if ord(one) > 0x2FF and not one.isspace()]
    sets = {
        "value": [q.value for q in numbers],
        "measure": [q.measure for q in numbers],
        "edge_value": [q.measure for q in (numbers[:1] + numbers[-1:])],
        "answer_value": _measures(_straight(answer)),
        "lead_value": _measures(first),
        "reading": [plain_form(r) for r in readings if len(r) <= MAX_READING_CHARS],
        "answer": _content(answer),
        "lead": _content(first),
        "stress": [stem(w) for s in stressed[:1] for w in words(s)[:LEAD_WORDS]],
        "content": content,
        "affirmed": [own for own in content if own not in denied_stems],
        "denied": denied_stems,
        "surname": [name[-1] for name in names],
        "operation": operations(said),
        "code": map("".join, pairwise(tokens)),
        "code_shape": map("".join, zip(shaped, shaped[1:], shaped[2:], strict=False)),
        "rare": map("".join, pairwise(rare)) if len(rare) > 1 else rare,
        "stem": stemmed,
        "kernel": carried,
        "order": map(" ".join, pairwise(carried)),
        "result": _result(answer, stressed, numbers),
        "assigned": map("=".join, ASSIGNED.findall(said)),
        "sentence": _sentences(kernel),
        "initialled": [f"{name[0][0]} {name[-1]}" for name in whole_names],
        "namesake": [name[-1] for name in whole_names],
        "named": [f"{name[0]} {name[-1]}" for name in whole_names if name[0][1:].isalpha()],
        "converted": [q.measure for q in numbers if q.measure != q.value],
    }
    flags = (
        not body.strip(),
        refuses(said),
        stated,
        not parted.finished,
        bool(tokens),
        _foreign(body),
        len(kept) > 12 and len(set(kept)) * 3 < len(kept),
        kernel.endswith("?"),
    )
    return Facts(
        tuple(codes_of(sets[kind]) for kind in KINDS),
        np.asarray([*whole_axes, *lead_axes], dtype=np.int8),
        np.asarray(flags, dtype=np.float32),
        worded(said),
        _formula(body, said, kernel, first),
    )


def _formula(body: str, said: str, kernel: str, first: str) -> Formula | None:
    """The formula that a text marks as its answer, or that is all that it says."""
    marks = BOX.findall(body) + TAG.findall(body)
    if len(marks) > 1:
        return None  # parts of an answer, or a mark that is taken back
    last_row = body.rstrip().rpartition("\n")[2]
    if marks or HASHES.search(last_row):
        marked = marked_answer(body)
        return None if marked is None else formula(marked.readings[0], marked=True)
    if said[: said.find(kernel)].endswith("-"):
        return None  # a dash behind a polite word, or the sign of a number
    whole = formula(kernel, marked=False)
    if whole is not None or not first:
        return whole
    before, _, behind = kernel.partition(first)
    alone = not behind.strip(BEHIND) and not before.rstrip().endswith(("|", ">"))
    return formula(first, marked=False) if alone else None


def _straight(text: str) -> str:
    """The text folded, with straight apostrophes: patterns of phrases hold no others."""
    return folded(text).replace("’", "'")


def _opening(text: str) -> str:
    """The first word of a text, which may be a yes or a no that politeness hides."""
    word = WORD.search(text)
    return "" if word is None else f"{word[0]}."


def _measures(text: str) -> list[str]:
    read: list[Quantity] = quantities(text)
    return [q.measure for q in read]


def _content(text: str) -> list[str]:
    return stems(carrying(words(_straight(text))[:LEAD_WORDS]))


def _names(text: str) -> list[list[str]]:
    """The lower-case words of each run of capitalised ones."""
    runs: list[list[str]] = []
    end = -9
    for match in NAME.finditer(text):
        word = match[0].strip().lower()
        if word in STOPWORDS or word in TITLES:
            continue
        if match.start() <= end + 1 and runs:
            runs[-1].append(word)
        else:
            runs.append([word])
        end = match.end()
    return runs


def _whole_names(names: list[list[str]]) -> list[list[str]]:
    """Names of several words, without polite ones before them, as in "Perhaps Mary Shelley"."""
    polite = [next((k for k, word in enumerate(name) if word not in CHAT), 0) for name in names]
    return [name[k:] for name, k in zip(names, polite, strict=True) if len(name) - k > 1]


def _result(answer: str, stressed: list[str], numbers: list[Quantity]) -> list[str]:
    """The value that a text comes to: on the right of the last equals sign of its stated answer, or
    the last that it stresses, or its only number."""
    for text in (answer, *reversed(stressed)):
        right = RIGHT.split(folded(text))[-1]
        if values := _measures(right):
            return values
    return [q.measure for q in numbers] if len({q.measure for q in numbers}) == 1 else []


def _sentences(text: str) -> list[str]:
    """The words in order of each sentence or line."""
    return [" ".join(WORD.findall(part.lower())) for part in SENTENCE.split(text)]


def _foreign(text: str) -> bool:
    if text.isascii():
        return False
    letters = [character for character in text if character.isalpha()]
    return sum(not character.isascii() for character in letters) * 20 > len(letters)
