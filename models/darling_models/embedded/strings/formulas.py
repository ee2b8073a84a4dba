r"""A text that is one formula, such as `a + b`, `\boxed{-5}` or `x >= 3`: its form and values.

Formulas that differ by the order of summands and factors have one normal form. Formulas that have
different values, where their variables have the same, are different however alike they look to an
encoder. Only formulas of numbers, single letters, `+ - * / ^`, roots and comparisons are read.
"""

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from darling_models.embedded.set_overlap import code_of
from darling_models.final_answers.plain_form import folded, plain_form

MAX_CHARS = 80
"""Characters of the longest formula that is read; a longer one is a derivation and no answer."""
POINTS = (0.61803398875, 0.75487766625)
"""One number for each of the two places at which formulas are compared: the variables' values there
are made of it. Formulas that are unequal rarely agree at both."""

INNER = re.compile(
    r"\\frac\{([^{}\\]*)\}\{([^{}\\]*)\}|(\\sqrt|(?<=\^))\{([^{}\\]*)\}", re.IGNORECASE
)
"""A fraction, a root or an exponent of LaTeX that has no other inside."""
PIECE = re.compile(r"\d+(?:\.\d+)?|\.\d+|sqrt|pi|[a-z](?![a-z])|[<>!=]=|[-+*/^<>=()]")
PYTHON = {"=": "==", "^": "**"}
LISTED = re.compile(r",\s")
"""A comma that parts two things; one of thousands has no space behind it."""
SPAN = re.compile(
    r"(?:\(\d+\))?\d+(?:-\d+)+|\d{1,4}([-/.])\d{1,2}\1\d{1,4}|0\d/\d{1,2}|\d{1,2}/0\d"
)
SPACED = re.compile(r"\s[-–—−/]\s")
"""1939-1945, 3-2, 555-123-4567, 1/2/2024 and 07/04 are a span of time, a score, a telephone and two
dates; 9 - 4 is a difference."""
LINES = re.compile(r"[^\s$\[][^\S\n]*+\n\s*+[^\s$\\]")
BULLET = re.compile(r"\A\s*[-*+>]\s[^-+*/^<>=]*\Z")
"""Several lines; and a bullet, which looks like a sign, before what has no other."""
UNCLEAR = re.compile(
    r"\+-|-\+"  # two values at once
    r"|(?<![a-z])[a-z]\((?:-?[^()+-]*\)|[a-z]\()"  # a function's value, `f(x)` or `f(g(x))`
)
"""What looks like a formula of sums and products and is none."""
IMPLIED = re.compile(
    r"/\s?(?:\d+(?:\.\d+)?|[A-Za-z])\s?(?:[A-Za-z(]|\\(?:pi|sqrt|[dt]?frac)(?![a-z]))"
)
"""`1/2x` is half of x to some and `1/(2x)` to others."""
SINGLE_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
"""A variable; R and r are two."""
CONSTANT = re.compile(r"\A[^A-Z]*\+\s*C\W*\Z")
"""A sum whose last term is a constant of integration."""
LETTERED = re.compile(r"[-+]?[\d.]*[a-z]")
"""A letter, or a number and a letter: an option, a unit or a decade as likely as a formula."""
PLAIN = re.compile(r"-?(?:\d*\.?\d+|\d+/\d+)")
DECIMAL = re.compile(r"-?\d*\.(\d+)")
RELATIONS = {ast.Eq: 1, ast.NotEq: 2, ast.Lt: 3, ast.LtE: 4, ast.Gt: 3, ast.GtE: 4}
SYMMETRIC = (1, 2)


@dataclass(frozen=True, slots=True)
class Formula:
    form: int
    """A code of the normal form under commutativity and associativity."""
    relation: int
    """What is said of two sides, as in `RELATIONS`; 0 for one side alone."""
    name: int
    """A code of the variable to which an equation gives the value; 0 without one."""
    variables: int
    """A code of the set of variables."""
    values: tuple[float, ...]
    """The left side at each of `POINTS`, then the right side; one side alone stands for both."""
    slack: float
    """How far the meant value may be, since decimals are rounded; 0 for an exact value."""
    plain: bool
    """Whether it is a number or a fraction of numbers, which leaves nothing to compute."""
    marked: bool
    r"""Whether its text marks it as the answer, as `\boxed{}` does."""


class _Unread(ValueError):
    """The text is no formula that is read."""


def formula(text: str, marked: bool) -> Formula | None:
    """The formula that the whole of a text is; None if it is none, or too long."""
    if len(text) > 2 * MAX_CHARS or LISTED.search(text):
        return None
    plain = plain_form(text)
    if not 0 < len(plain) <= MAX_CHARS or LETTERED.fullmatch(plain):
        return None
    if SPAN.fullmatch(plain) and not SPACED.search(text):
        return None
    listed = LINES.search(text) or (BULLET.match(text) and not marked)
    if listed or UNCLEAR.search(plain) or IMPLIED.search(text):
        return None
    letters = set(SINGLE_LETTER.findall(folded(text)))
    if len({letter.lower() for letter in letters}) < len(letters):
        return None
    try:
        return _formula(plain, marked, CONSTANT.search(text) is not None)
    except (ValueError, SyntaxError, ArithmeticError):
        return None


def _formula(text: str, marked: bool, up_to_constant: bool) -> Formula:
    node = ast.parse(_as_python(text), mode="eval").body
    left, relation, right = _sides(node)
    name = ""
    if relation == 1 and isinstance(left, ast.Name) != isinstance(right, ast.Name):
        # `x = 3` says of a variable what `3` says alone.
        named, value = (left, right) if isinstance(left, ast.Name) else (right, left)
        if _form(named) not in _names(value):
            name, left, relation, right = _form(named), value, 0, value
    form = f"{_form(left)}{relation}{_form(right)}" if relation else _form(left)
    values = tuple(_value(side, point) for side in (left, right) for point in POINTS)
    own = ast.unparse(left).replace(" ", "")
    names = _names(node) - {name}
    if not all(map(math.isfinite, values)) or not _linear_in_i(node):
        raise _Unread
    if up_to_constant and not relation:
        names |= {"C"}
        values = (values[0] - values[1],) * len(values)
    return Formula(
        code_of(form),
        relation,
        code_of(name) if name else 0,
        code_of("".join(sorted(names))),
        values,
        _slack(own, values[0]) if not relation else 0.0,
        not relation and PLAIN.fullmatch(own) is not None,
        marked,
    )


def _names(node: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} - {"sqrt"}


def _linear_in_i(node: ast.expr) -> bool:
    """Whether formulas of other values differ even if i is the imaginary unit, whose square is -1:
    it stands once at most, and not in a denominator, a power or a root."""
    count = 0
    for part in ast.walk(node):
        count += isinstance(part, ast.Name) and part.id == "i"
        match part:
            case ast.BinOp(base, ast.Pow(), exponent) if "i" in _names(base) | _names(exponent):
                return False
            case ast.BinOp(_, ast.Div(), inner) | ast.Call(_, [inner]) if "i" in _names(inner):
                return False
    return count <= 1


def _as_python(text: str) -> str:
    """The formula as Python writes it, with the signs of products that mathematics leaves out."""
    text = text.replace("**", "^")
    for _ in range(MAX_CHARS):
        text, changed = INNER.subn(_in_parentheses, text)
        if not changed:
            break
    pieces = PIECE.findall(text)
    if "".join(pieces) != text:
        raise _Unread
    written: list[str] = []
    for piece in pieces:
        before = written[-1] if written else ""
        if before[-1:].isalnum() and piece[0].isdigit():
            raise _Unread  # `x2` is an index, `1e3` a power of ten
        if (before == ")" or before[-1:].isalnum()) and (piece == "(" or piece[0].isalnum()):
            written.append("*" if before != "sqrt" else "")
        number = (piece.lstrip("0") or "0") if piece[0].isdigit() else piece
        written.append(PYTHON.get(piece, number))
    return "".join(written)


def _in_parentheses(match: re.Match[str]) -> str:
    above, below, head, inner = match.groups()
    return f"({inner})" if head == "" else f"sqrt({inner})" if head else f"(({above})/({below}))"


def _sides(node: ast.expr) -> tuple[ast.expr, int, ast.expr]:
    """(left, relation, right), the lesser one left; one side alone twice, with relation 0."""
    if not isinstance(node, ast.Compare):
        return node, 0, node
    if len(node.ops) != 1:
        raise _Unread
    left, sign, right = node.left, node.ops[0], node.comparators[0]
    relation = RELATIONS[type(sign)]
    turned = (
        _form(left) > _form(right) if relation in SYMMETRIC else isinstance(sign, ast.Gt | ast.GtE)
    )
    return (right, relation, left) if turned else (left, relation, right)


def _form(node: ast.expr) -> str:
    negative, form = _signed(node)
    return f"(-{form})" if negative else form


def _signed(node: ast.expr) -> tuple[bool, str]:
    """(whether a minus stands before it, the normal form of the rest)."""
    match node:
        case ast.Constant():
            return False, _written(node)
        case ast.Name(name) if name != "sqrt":
            return False, name
        case ast.Call(ast.Name("sqrt"), [inner]):
            return False, f"sqrt{_form(inner)}"
        case ast.UnaryOp(op, inner):
            negative, form = _signed(inner)
            return negative ^ isinstance(op, ast.USub), form
        case ast.BinOp(left, ast.Pow(), right):
            return False, f"{_form(left)}^{_form(right)}"
        case ast.BinOp(_, ast.Add() | ast.Sub(), _):
            return False, f"({''.join(sorted(_summands(node, False)))})"
        case ast.BinOp(_, ast.Mult() | ast.Div(), _):
            negative, factors = _factors(node, False)
            return negative, f"[{''.join(sorted(factors))}]"
    raise _Unread


def _summands(node: ast.expr, negative: bool) -> Iterator[str]:
    """The normal forms of the summands, each with its sign before it."""
    match node:
        case ast.BinOp(left, ast.Add() | ast.Sub() as op, right):
            yield from _summands(left, negative)
            yield from _summands(right, negative ^ isinstance(op, ast.Sub))
        case ast.UnaryOp(op, inner):
            yield from _summands(inner, negative ^ isinstance(op, ast.USub))
        case _:
            own, form = _signed(node)
            yield f"{'-' if negative ^ own else '+'}{form}"


def _factors(node: ast.expr, below: bool) -> tuple[bool, list[str]]:
    """(whether the product has a minus, its factors with `*` or `/` before each)."""
    match node:
        case ast.BinOp(left, ast.Mult() | ast.Div() as op, right):
            minus, above = _factors(left, below)
            other_minus, others = _factors(right, below ^ isinstance(op, ast.Div))
            return minus ^ other_minus, above + others
        case ast.UnaryOp(op, inner):
            minus, factors = _factors(inner, below)
            return minus ^ isinstance(op, ast.USub), factors
    return False, [f"{'/' if below else '*'}{_form(node)}"]


def _value(node: ast.expr, point: float) -> float:
    """Raises `_Unread` and `ArithmeticError` where the formula has no real value."""
    match node:
        case ast.Constant():
            return float(_written(node))
        case ast.Name("pi"):
            return math.pi
        case ast.Name(name) if len(name) == 1:
            return 0.5 + ord(name) * point % 1.0
        case ast.UnaryOp(op, inner):
            return -_value(inner, point) if isinstance(op, ast.USub) else _value(inner, point)
        case ast.BinOp(left, op, right):
            one, other = _value(left, point), _value(right, point)
            match op:
                case ast.Add():
                    return one + other
                case ast.Sub():
                    return one - other
                case ast.Mult():
                    return one * other
                case ast.Div():
                    return one / other
                case ast.Pow() if one >= 0 or other.is_integer():
                    return math.pow(one, other)
        case ast.Call(ast.Name("sqrt"), [inner]) if (under := _value(inner, point)) >= 0:
            return math.sqrt(under)
    raise _Unread


def _written(node: ast.Constant) -> str:
    """A number, whole where its decimals are zeros."""
    value = node.value
    if not isinstance(value, int | float):
        raise _Unread
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _slack(text: str, value: float) -> float:
    decimal = DECIMAL.fullmatch(text)
    if decimal is not None:
        return 0.5 * 10.0 ** -len(decimal[1])
    return abs(value) / 100 if "." in text else 0.0
