r"""The final answer of a response: what it comes to, after its reasoning.

A response has one final answer, so that naming several never pays. In this order it is

1. what its last mark encloses: `\boxed{...}`, `<answer>...</answer>`, or the row after `####`;
   a later sentence "the answer is ..." overrules the mark where it gives a bare number, a formula
   or the letter of an option;
2. what follows the last "answer is", "answer:" or heading "Answer";
3. the last row, or the formula, equation or number with which its last sentence ends.

Reasoning that does not end has no final answer. Everything takes time linear in the response.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from darling_models.reasoning import part_reasoning

BOX = re.compile(r"\\f?box(?:ed)?\s{0,9}\{")
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
TAG = re.compile(r"<answer>", re.IGNORECASE)
END_TAG = re.compile(r"</answer\b", re.IGNORECASE)
HASHES = re.compile(r"(?<!#)####(?!#)")
QUOTES = r"[*_\"'”’`)\]]{0,4}"
PHRASE = re.compile(
    rf"""
    (?<![a-z])answers?\b{QUOTES}[ \t]{{0,9}}[:=：]                       # **Answer:** 42
  | (?<![a-z])(?<!to\ )answers?\b{QUOTES}(?:[^.:;?!\n]{{0,80}}?\s)?      # the answer to it is 42
      (?:is|are|was|equals|would\ be|will\ be|must\ be|should\ be)\b
  | ^[ \t]{{0,9}}[\#*_]{{0,9}}[ \t]{{0,9}}(?:(?:the|my|our)\ )?          # ## Final answer
      (?:final\ |correct\ )?answer[ \t*_]{{0,9}}$
  | (?<![a-z])ans[:.][ \t]
  | 答案{QUOTES}\s{{0,9}}(?:是|为|為|[:：=])
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
"""Ways to say that the answer follows; each is of bounded length."""
GAP = re.compile(r"[\s:：*_>#]*")
LEAD = re.compile(
    r"(?:(?:(?:exactly|simply|just|therefore|thus|hence|then|clearly|indeed|definitely|certainly|"
    r"actually|really|still|equal to|equals|given by|approximately|about|roughly|around)\b|≈|"
    r"\\approx)[\s:,]*)*",
    re.IGNORECASE,
)
"""Words before an answer that say nothing about which it is."""
SENTENCE_END = re.compile(r"[.!?;](?=[*_\"'”’)\]]*(?:\s|$))|[。！？；]")
CLAUSE_END = re.compile(r",?\s(?:because|since|as|which|so|where|given)\b", re.IGNORECASE)
ABOUT = re.compile(
    r"(?:not|never|no longer|(?:in)?correct|right|wrong|verified|consistent|valid|invalid|clear|"
    r"obvious|unique|helpful|reasonable|useful|complete|confirmed|unclear|unknown|found|obtained|"
    r"above|below)\b",
    re.IGNORECASE,
)
"""Words after "the answer is" that say something about an answer given elsewhere."""
HEDGE = re.compile(
    r"\b(?:not|never|cannot|neither|nor|or|if|suppose|assume|unless|between|than|least|most)\b|"
    r"n['’]t\b|\?",
    re.IGNORECASE,
)
"""Words in a last row whose number or formula need not be the answer."""
OPTION = re.compile(r"[(\[]?[A-Ja-j][)\].:]?")
WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
SEVERAL = re.compile(r"=[^=]*(?:,|;|\band\b)")
"""An equation with another one after it."""
NEWLINE = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""Where `str.splitlines` ends a row."""
FENCE = "```"
BLOCKS = (("$$", "$$"), (r"\[", r"\]"), (FENCE, FENCE))
"""What opens and closes a formula or a block of code on rows of its own."""
BEHIND_FORMULA = " \t\r\n.*_"
EXCLAIMED = re.compile(r"(?<=[$)\]*`])!{1,9}\Z")
"""Exclamation marks at an end, where they are no factorial."""
PLAIN_WORD = re.compile(r"(?:\A|\s)[*_(\"]{0,4}[^\W\d_]{1,30}(?:['’][a-z]{1,2})?[:,*_]{0,4}\Z")
"""A word at the end of what stands before a number."""
COMES_TO = re.compile(
    r"\b(?:is|are|be|was|equals|makes?|gives?|gets?|got|yields?|becomes?)\Z", re.I
)
"""A verb there, after which the number is what the words before it come to."""


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """The one final answer of a response."""

    readings: tuple[str, ...]
    """What its words may mean, at least one, the shortest first: of "42, because 6 * 7 is 42." it
    is "42" and then the whole."""
    stated: bool
    """Whether the response says that this is its answer, or is or comes to a single expression;
    False for the last row of a longer text."""


def final_answer(text: str) -> FinalAnswer | None:
    """Returns the final answer of a response; None if it is blank or its reasoning does not end."""
    answer = part_reasoning(text).answer.strip()
    if not answer:
        return None
    return marked_answer(answer) or _said(answer, 0) or _last_row(answer)


def marked_answer(text: str) -> FinalAnswer | None:
    r"""Returns what the last `\boxed{}`, `<answer>` or `####` of a text encloses, or the plain
    answer that a sentence gives after it; None without a mark."""
    marks = [mark for mark in (_boxed(text), _tagged(text), _hashed(text)) if mark is not None]
    if not marks:
        return None
    start, content = max(marks)
    later = _said(text, start + len(content))
    if later is not None and _is_plain(later.readings[0]):
        return later
    if (inner := _said(content, 0)) is not None:
        return inner
    rows = [row.strip() for row in content.split("\n") if row.strip()]
    return FinalAnswer(_distinct(content.strip(), *rows[-1:]), stated=True)


def _boxed(text: str) -> tuple[int, str] | None:
    """Where the content of the last box that is closed begins, and the content."""
    starts = [box.end() for box in BOX.finditer(text)]
    if not starts:
        return None
    closing: dict[int, int] = {}
    opened: list[int] = []
    for brace in BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.end())
        elif brace[0] == "}" and opened:
            closing[opened.pop()] = brace.start()
    filled = (s for s in reversed(starts) if s in closing and not text[s : closing[s]].isspace())
    start = next((s for s in filled if closing[s] > s), None)
    return None if start is None else (start, text[start : closing[start]])


def _tagged(text: str) -> tuple[int, str] | None:
    """The content of the last answer tag; one that is not closed ends with the text, since a
    trainer may stop generation at the closing tag and drop it."""
    tag = _last(TAG.finditer(text))
    if tag is None:
        return None
    end = END_TAG.search(text, tag.end())
    content = text[tag.end() : end.start() if end else len(text)]
    return (tag.end(), content) if content.strip() else None


def _hashed(text: str) -> tuple[int, str] | None:
    """The rest of the last row with `####`. A heading of words counts only as the last row."""
    end = len(text)
    for row in reversed(text.splitlines(keepends=True)):
        mark = _last(HASHES.finditer(row))
        start = end - len(row)
        if mark is not None:
            content = row[mark.end() :]
            if content.strip() and (end == len(text) or _is_plain(content)):
                return start + mark.end(), content
        end = start
    return None


def _said(text: str, after: int) -> FinalAnswer | None:
    """What follows the last phrase for "the answer is" after a place in the text. Phrases that only
    speak about an answer, as in "the answer is correct", count where there is no other."""
    start = remark = None
    for phrase in PHRASE.finditer(text, after):
        gap = GAP.match(text, phrase.end())
        begins = phrase.end() if gap is None else gap.end()
        if begins == len(text) or END_TAG.match(text, begins):
            continue
        if ABOUT.match(text, begins):
            remark = begins
        else:
            start = begins
    start = remark if start is None else start
    return None if start is None else FinalAnswer(_sayings(text, start), stated=True)


def _sayings(text: str, start: int) -> tuple[str, ...]:
    """What an answer that begins at `start` may be: a formula or block of its own, or the clause,
    the sentence and the row."""
    for opening, closing in BLOCKS:
        if text.startswith(opening, start):
            end = text.find(closing, start + len(opening))
            if end >= 0 and (content := text[start + len(opening) : end].strip()):
                return (content if opening != FENCE else _fenced(content),)
    row = _row(text, start)
    sentence = _before(SENTENCE_END, row)
    return _distinct(_led(_before(CLAUSE_END, sentence)), _led(sentence), row)


def _last_row(answer: str) -> FinalAnswer:
    rows = answer.splitlines()
    row = rows[-1].strip()
    bare = _ended(answer)
    for opening, closing in BLOCKS:
        if bare.endswith(closing):
            start = bare.rfind(opening, 0, len(bare) - len(closing))
            content = bare[start + len(opening) : len(bare) - len(closing)].strip()
            if start >= 0 and content:
                content = content if opening != FENCE else _fenced(content)
                return FinalAnswer(_distinct(content), stated=True)
    sentence = _last_sentence(row)
    result = None if HEDGE.search(sentence) else _result(_ended(sentence))
    if result is None:
        return FinalAnswer((row,), stated=len(rows) == 1)
    return FinalAnswer(_distinct(result, row), stated=True)


def _result(sentence: str) -> str | None:
    """The formula, the equation or the number with which a sentence ends; a number only if there
    is no other, or a verb before it says that something comes to it."""
    for opening, closing in (("$", "$"), (r"\(", r"\)")):
        if sentence.endswith(closing):
            before, found, formula = sentence.removesuffix(closing).rpartition(opening)
            joined = before.rstrip("$ ").endswith(("and", ",", "&"))
            return formula if found and formula.strip() and not joined else None
    before, equals, right = sentence.rpartition("=")
    if equals:
        comparison = before.endswith(("<", ">", "!", ":", "=", "≠"))
        several = SEVERAL.search(before) is not None
        if comparison or several or not right.strip() or len(WORD.findall(right)) > 2:
            return None
        word = _last(WORD.finditer(before))
        return f"{before[word.end() if word else 0 :]}={right}"
    before, _, last = sentence.rpartition(" ")
    tail = before.rstrip()[-50:]
    alone = not any(character.isdigit() for character in before)
    comes_to = COMES_TO.search(tail) or (alone and (not tail or PLAIN_WORD.search(tail)))
    written_out = WORD.search(last) or not any(character.isdigit() for character in last)
    return last if comes_to and not written_out else None


def _last_sentence(row: str) -> str:
    """The last sentence of a row, with the punctuation at its end."""
    length = len(row.rstrip(BEHIND_FORMULA + "?!"))
    end = _last(end for end in SENTENCE_END.finditer(row) if end.end() <= length)
    return row if end is None else row[end.end() :].strip()


def _ended(text: str) -> str:
    """`text` without the punctuation at its end."""
    return EXCLAIMED.sub("", text.rstrip(BEHIND_FORMULA)).rstrip(BEHIND_FORMULA)


def _is_plain(reading: str) -> bool:
    """Whether a reading is a bare number, a formula or the letter of an option."""
    bare = reading.strip(" \t.*$")
    if OPTION.fullmatch(bare):
        return True
    return not WORD.search(bare) and any(c.isdigit() or c == "\\" for c in bare)


def _row(text: str, start: int) -> str:
    """The text from `start` to the end of its row, or of the tag that it stands in."""
    end = NEWLINE.search(text, start)
    row = text[start : end.start() if end else len(text)]
    return _before(END_TAG, row)


def _fenced(content: str) -> str:
    """The content of a code fence without the name of its language."""
    language, newline, code = content.partition("\n")
    return code.strip() if newline and language.strip().isalnum() else content


def _before(end: re.Pattern[str], text: str) -> str:
    match = end.search(text)
    return text if match is None else text[: match.start()]


def _led(saying: str) -> str:
    lead = LEAD.match(saying)
    return saying if lead is None else saying[lead.end() :]


def _distinct(*readings: str) -> tuple[str, ...]:
    """The readings that say something, each once."""
    return tuple(dict.fromkeys(r.strip() for r in readings if r.strip()))


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    match = None
    for match in matches:  # noqa: B007
        pass
    return match
