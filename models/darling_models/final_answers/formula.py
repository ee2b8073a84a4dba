r"""The formula of an answer, as math-verify is given it.

math-verify searches a text for whatever it can parse, and so finds `1` in `$1 - \frac{1}{?}$`,
`42` in "not 42" and one product in "silent" and "listen" (Math-Verify#14, #41, #82). It gets the
whole answer as one formula here, or nothing: an answer of words is compared as text alone.
"""

import re

from darling_models.final_answers.plain_form import folded, number

MAX_FORMULA_CHARS = 2_000
"""Characters of the longest answer that is read as a formula; longer ones are no answers to
mathematical questions, and their expressions take seconds to parse."""
DELIMITERS = re.compile(r"\\[()\[\]]|\\?\$")
ENVIRONMENT = re.compile(r"\\(?:begin|end)\s?\{[a-z]{1,20}\*?\}")
MIXED = re.compile(r"(?<![\d./^{])(\d+) (\d+)/(\d+)(?![\d./])")
WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
FUNCTIONS = re.compile(
    "sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh|log|exp|min|max|gcd|lcm|mod|det|"
    "deg|and|inf",
    re.IGNORECASE,
)
"""Words that are mathematics: functions, and what joins the elements of a set."""
UNIT = re.compile(r"[\sA-Za-z{}^²³°./\\]*")
"""What may follow the first word of an answer, if its words are a unit: no number of its own."""


def formula(answer: str) -> str | None:
    """Returns the answer as one inline formula; None if it is words, blank or too long."""
    if len(answer) > MAX_FORMULA_CHARS:
        return None
    text = " ".join(DELIMITERS.sub(" ", folded(answer)).split())
    text = text.strip("*_`\"' ").removesuffix(".").strip()
    if (plain := number(text)) is not None:
        return f"${plain.replace('%', chr(92) + '%')}$"
    if not text or _is_prose(text):
        return None
    return f"${MIXED.sub(_mixed, text)}$"


def _mixed(match: re.Match[str]) -> str:
    r"""2 2/3 is 8/3 if it is written as 2\frac{2}{3}; math-verify reads it as a product."""
    return rf"{match[1]}\frac{{{match[2]}}}{{{match[3]}}}"


def _is_prose(text: str) -> bool:
    """Whether an answer has words that are neither mathematics nor, after a number, its unit."""
    bare = ENVIRONMENT.sub(" ", text)
    words = [word for word in WORD.finditer(bare) if not FUNCTIONS.fullmatch(word[0])]
    if not words:
        return False
    before, rest = bare[: words[0].start()], bare[words[0].end() :]
    return not (any(c.isdigit() for c in before) and UNIT.fullmatch(rest))
