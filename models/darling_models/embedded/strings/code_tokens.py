"""The code and the formulas of a text as tokens, in which an operator counts as much as a name.

`a + b` and `a - b` are nearly one text to an encoder and two programs to a machine.
"""

import re

from darling_models.embedded.set_overlap import code_of

FENCED = re.compile(r"```[^\n`]{0,40}\n?(.*?)(?:```|\Z)", re.DOTALL)
INLINE = re.compile(r"`([^`\n]{1,400})`")
LOOKS_LIKE_CODE = re.compile(
    r"^[^\S\n]{0,40}(?:def |class |return\b|import |from \w+ import|function\b|const |let |var |"
    r"fn |int |public |#include|for ?\(|while ?\(|if ?\(|select\b.{1,200}\bfrom\b|>>> )|=>|"
    r"\bprint\(|lambda \w+:|;\s*$|^[^\S\n]{0,40}(?:grep|awk|sed|wc|cat|find|git|ls|curl|python3?) ",
    re.IGNORECASE | re.MULTILINE,
)
COMMENT = re.compile(
    r"(?:(?<=\s)|^)(?:#|//|--)\s[^\n]*|/\*.{0,999}?\*/|\"\"\".{0,999}?\"\"\"", re.DOTALL | re.M
)
TOKEN = re.compile(
    r"[A-Za-z_]\w*|\d+(?:\.\d+)?|[<>=!]=+|=>|->|\*\*|//|&&|\|\||<<|>>|\+\+|--|"
    r"[-+*/%<>=!&|^~?:.\[\](){},;@\\$]"
)
FORMULA = re.compile(r"[-+*/^=<>≤≥≠√∪∩∈%!|]|\\[A-Za-z]+|[A-Za-z]\b|\d+(?:[.,]\d+)*|[()\[\]{}]")
INFIX = "+ - * / ^ = < > ≤ ≥ ≠ <= >= != ** // % ! | & ∪ ∩ == && ||"
OPERATORS = frozenset(INFIX.split())


def code(text: str) -> list[str]:
    """The tokens of the code in a text, in order, without comments; of the whole text if it looks
    like code and marks none."""
    parts = FENCED.findall(text)
    if not parts:
        parts = INLINE.findall(text)
        if not parts and LOOKS_LIKE_CODE.search(text):
            parts = [text]
    if not parts:
        return []
    return TOKEN.findall(COMMENT.sub(" ", "\n".join(parts)))


def shape(tokens: list[str]) -> list[str]:
    """The same tokens with one name for all variables: names that are neither called nor members
    nor keywords."""
    kept = []
    before = ""
    for token, after in zip(tokens, [*tokens[1:], ""], strict=False):
        name = token[0].isalpha() or token[0] == "_"
        plain = name and after != "(" and before != "." and token.lower() not in KEYWORDS
        kept.append("v" if plain else token)
        before = token
    return kept


RESERVED = (
    "if else elif for while return in not and or is none null true false lambda def function "
    "fn const let var int float str bool import from select where order by desc asc limit "
    "group count break continue yield try except catch throw raise new class this self with "
    "as between like join on having distinct union inner left outer right switch case default "
    "do end then grep awk wc sed cat sort uniq head tail find xargs"
)
KEYWORDS = frozenset(RESERVED.split())


def operations(text: str) -> list[str]:
    """Operators with the operands beside them, such as `a+b`, wherever a text has formulas."""
    tokens = FORMULA.findall(text)
    read = []
    for left, middle, right in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if middle in OPERATORS:
            read.append(f"{left}{middle}{right}")
    return read


WORD_OR_SIGN = re.compile(
    r"^[^\S\n]*[-*+>]\s|\d+|[^\W\d]+|[<>!=]=|&&|\|\||\*\*|//|[^\w\s]",
    re.MULTILINE,
)
"""A bullet, a number, a word, or a sign."""
SIGNED = r"(?<![^\s(\[{=<>:,^*/|$\\])%s(?=\d)"
"""Where a number has a sign, which is not a dash or an operator between two."""
POSITIVE, NEGATIVE = re.compile(SIGNED % r"\+"), re.compile(SIGNED % "-")
INTERCHANGED = (
    *(
        "+ -",
        "* / % // **",
        "< > <= >= == != =",
        "le ge leq geq lt gt",
        "& | && || ∧ ∨ ∪ ∩ ^",
        "cup cap",
    ),
    *("wedge vee land lor", "max min", "asc desc"),
)
"""Operators that take each other's place, so that a formula, a query or a program says another
thing in the same words."""
JOINED = "and or"
"""Two more, which do so in short texts alone: "yoga, tennis and chess" is "tennis or chess" too.
The solutions "x = 2 and x = 3" are "x = 2 or x = 3", and so are "2 and 3"."""
SOLUTIONS = re.compile(r"(?<![<>=!])=(?!=)|\d\W{0,3}\s(?:and|or)\s\W{0,3}\d")
EMPHASIS = re.compile(
    r"(?<![^\s(\[{\"'])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![^\s)\]}\"'.,:;!?])"
)
"""Asterisks of Markdown, which stand beside a word on one side alone; others are operators."""
MAX_JOINED = 12
"""Words and signs of the longest text in which JOINED are operators."""


def _places(*groups: str) -> dict[str, str]:
    return {sign: signs for signs in groups for sign in signs.split()}


OPERATION = _places(*INTERCHANGED)
SHORT_OPERATION = _places(*INTERCHANGED, JOINED)


def worded(text: str) -> tuple[int, int]:
    """Codes of the words and signs of a text in order, and of the same without the signs of
    numbers, where operators that take each other's place are not told apart."""
    text = POSITIVE.sub("", EMPHASIS.sub("", text.lower()))
    signs = WORD_OR_SIGN.findall(text)
    short = len(signs) <= MAX_JOINED and "," not in signs and SOLUTIONS.search(text) is None
    places = SHORT_OPERATION if short else OPERATION
    unsigned = WORD_OR_SIGN.findall(NEGATIVE.sub("", text))
    return code_of(" ".join(signs)), code_of(" ".join(places.get(s, s) for s in unsigned))
