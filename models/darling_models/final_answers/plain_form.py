r"""The plain form of an answer, in which two ways to write one answer are the same characters.

`$42$`, `**42.0**`, `\boxed{\text{42}}` and `４２` are all `42`; `1,234` is `1234`; `\frac{3}{4}` is
`3/4`. Nothing is computed: `6/8` stays `6/8`, and a unit stays part of its answer. Every step takes
time linear in the answer.
"""

import re
import unicodedata

MAX_COMPOSED_CHARS = 2_000
"""Characters of an answer up to which accents are composed: CPython sorts a run of combining marks
in quadratic time."""

WRAPPERS = re.compile(
    r"\\(?:boxed|fbox|mbox|text|textbf|textit|textrm|textsf|texttt|emph|underline|mathrm|mathbf|"
    r"mathit|mathsf|mathtt|mathbb|operatorname|bm|boldsymbol|ensuremath)"
)
"""LaTeX commands that change how their argument looks, and not what it says."""
WRITTEN: dict[str, str] = {
    **dict.fromkeys((r"\left", r"\right", r"\displaystyle", r"\textstyle", r"\!", r"\$"), ""),
    **dict.fromkeys((r"\big", r"\Big", r"\bigl", r"\bigr", r"\Bigl", r"\Bigr"), ""),
    **dict.fromkeys((r"\,", r"\;", r"\:", "~", r"\ "), "\u2009"),
    **dict.fromkeys((r"\(", r"\)", r"\[", r"\]", "$", r"\quad", r"\qquad", "\\\n"), " "),
    **dict.fromkeys((r"\dfrac", r"\tfrac", r"\cfrac"), r"\frac"),
    **dict.fromkeys((r"\times", r"\cdot"), "*"),
    **dict.fromkeys((r"\leq", r"\le", r"\leqslant"), "<="),
    **dict.fromkeys((r"\geq", r"\ge", r"\geqslant"), ">="),
    **dict.fromkeys((r"\neq", r"\ne"), "!="),
    r"\div": "/",
    r"\pm": "+-",
    r"\pi": "pi",
    r"\infty": "inf",
    r"\circ": "°",
    r"\%": "%",
    r"\#": "#",
    r"\&": "&",
    r"\_": "_",
}
"""What is written for a piece of LaTeX that has a plainer form."""
SYMBOLS = str.maketrans(
    {
        **dict.fromkeys("×⋅·∙", "*"),
        "÷": "/",
        "⁄": "/",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "±": "+-",
        "π": "pi",
        "∞": "inf",
    }
)
PIECE = re.compile(r"\\[A-Za-z]+|\\.|[{}$~]|[^\\{}$~]+", re.DOTALL)
FRACTION = re.compile(r"\\frac ?(?:\{(-?[0-9]+)\}\{(-?[0-9]+)\}|([0-9])([0-9]))")
SINGLE = re.compile(r"([\^_])\{([A-Za-z0-9°])\}")
SPACED = re.compile(r" ?([-=+*/^(),;:<>{}\[\]|!]) ?")
NUMBER = re.compile(
    r"([+-]?)([0-9]{1,3}(?:[,\u2009][0-9]{3})+|[0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?(%?)"
)
"""Sign, whole part with or without separators of thousands, decimals, exponent of ten, per cent."""
AROUND = " \t\r\n\u2009*_`\"'“”‘’„«»"
"""Characters that may stand around an answer without being part of it."""
BEHIND = ".,;:。，；："


def plain_form(answer: str) -> str:
    """The characters by which an answer is compared; "" only for a blank one."""
    plain = _bare(_unwrapped(folded(answer)))
    if (written := number(plain)) is not None:
        return written
    plain = FRACTION.sub(_fraction, plain).replace("^{°}", "°").replace("^°", "°")
    plain = " ".join(SINGLE.sub(r"\1\2", plain).split())
    plain = _without_parentheses(SPACED.sub(r"\1", plain).strip())
    if (written := number(plain)) is not None:
        return written
    return plain.casefold() or " ".join(folded(answer).split())


def number(answer: str) -> str | None:
    """A decimal number as it is written shortest, such as 1234.5 for 1,234.50; None for other
    answers."""
    match = NUMBER.fullmatch(answer.replace("- ", "-", 1).replace(" %", "%", 1))
    if match is None:
        return None
    sign, whole, decimals, exponent, percent = match.groups()
    if not (whole or decimals):
        return None
    digits, after = re.sub("[,\u2009]", "", whole or ""), decimals or ""
    shift = int(exponent or 0)
    if shift >= 0:
        after = after.ljust(shift, "0")
        digits, after = digits + after[:shift], after[shift:]
    else:
        digits = digits.rjust(-shift, "0")
        digits, after = digits[:shift], digits[shift:] + after
    digits, after = digits.lstrip("0") or "0", after.rstrip("0")
    size = f"{digits}.{after}" if after else digits
    return f"{'-' if sign == '-' and size != '0' else ''}{size}{percent}"


def folded(answer: str) -> str:
    """`answer` with digits, dashes, spaces and letters of all widths and fonts as in ASCII."""
    if answer.isascii():
        return answer
    if len(answer) <= MAX_COMPOSED_CHARS:
        answer = unicodedata.normalize("NFC", answer)
    table = {ord(character): _folded(character) for character in set(answer)}
    return answer.translate(table).translate(SYMBOLS)


def _folded(character: str) -> str:
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    category, kind = unicodedata.category(character), unicodedata.decomposition(character)
    if category == "Pd" or character == "\u2212":
        return "-"
    if category == "Zs":
        return " " if character in " \u3000" else "\u2009"
    if category == "Cf":
        return ""
    if kind.startswith("<fraction>"):
        return " " + unicodedata.normalize("NFKC", character)
    if kind.startswith(("<wide>", "<narrow>", "<font>", "<circle>")):
        return unicodedata.normalize("NFKC", character)
    return character


def _unwrapped(answer: str) -> str:
    """`answer` without LaTeX that only changes how it looks; unchanged if its braces do not match,
    since then it is cut off."""
    if not any(mark in answer for mark in "\\{}$~"):
        return answer
    pieces: list[str] = []
    closers: list[str] = []
    wrapping = False
    for piece in PIECE.findall(answer):
        if WRAPPERS.fullmatch(piece):
            wrapping = True
            continue
        if wrapping and piece.isspace():
            continue
        if piece == "{":
            last = pieces[-1] if pieces else ""
            kept = not wrapping and (last[-1:] in ("^", "_", "}") or last[:1] == "\\")
            pieces.append("{" if kept else "")
            closers.append("}" if kept else "")
        elif piece == "}":
            if not closers:
                return answer
            pieces.append(closers.pop())
        else:
            pieces.append(WRITTEN.get(piece, piece))
        wrapping = False
    return answer if closers else "".join(pieces)


def _bare(answer: str) -> str:
    """`answer` without what may stand around it, unless nothing else is there."""
    behind = AROUND + BEHIND
    if not re.search("[0-9]", answer):
        behind += "!?"
    bare = answer.lstrip(AROUND).rstrip(behind)
    if bare[:1] == "=" and bare[1:2] != "=":
        bare = bare[1:].lstrip(AROUND)
    return bare or answer.strip()


def _without_parentheses(answer: str) -> str:
    """`answer` without parentheses around the whole of it; a tuple keeps its own."""
    inner = answer.lstrip("(").rstrip(")")
    opened = len(answer) - len(answer.lstrip("("))
    if opened and opened == len(answer) - len(answer.rstrip(")")) and not set(inner) & set("(),;"):
        return inner.strip() or answer
    return answer


def _fraction(match: re.Match[str]) -> str:
    above, below = (match[1], match[2]) if match[1] else (match[3], match[4])
    return f" {above}/{below}"
