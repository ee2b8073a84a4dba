"""Answers that strings settle: formulas of one form or of other values, and other operators."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_models.embedded.strings.facts import facts
from darling_models.embedded.strings.settled import DIFFERENT, SAME, settle, settled

ONE, TWO, OPEN = 1, -1, 0


def said(a: str, b: str) -> int:
    texts = [facts(a), facts(b)]
    there, back = settled(texts, np.asarray([[0, 1], [1, 0]])).tolist()
    assert there == back
    return int(there)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a + b", "b + a"),
        ("a < b", "b > a"),
        ("x <= 3", "3 ≥ x"),
        ("y = 2x + 1", "1 + 2x = y"),
        ("x^2 + 1", "1 + x**2"),
        ("5 * 4 - 3", "4 * 5 - 3"),
        ("8 * 2 - 3 = 13", "2 × 8 − 3 = 13"),
        ("(5 + 8) * 1", "1 * (8 + 5)"),
        ("a - (b - c)", "c + a - b"),
        ("$$\nx + 1\n$$", "1 + x"),
        (r"\boxed{- 5}", "-5."),
        ("a / (b / c)", "c * a / b"),
        (r"\boxed{x^2+1}", r"So it is $\boxed{1 + x^2}$."),
        (r"\boxed{7}", r"Adding up, 3 + 4 = 7, hence $\boxed{7}$."),
        (r"\boxed{\frac{1}{2}}", r"\boxed{0.5}"),
        (r"\boxed{5}", "5"),
        ("<answer>3.10</answer>", "3.1"),
        (r"\boxed{x = 5}", r"\boxed{5}"),
        ("He has 18 left.\n#### 18", "5 + 13 = 18\n#### 18"),
        (r"$\frac{\sqrt{2}}{2} + n$", r"n + \frac{\sqrt{2}}{2}"),
    ],
)
def test_one_answer(a: str, b: str) -> None:
    assert said(a, b) == ONE


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("-5", "5"),
        ("x = -3", "x = 3"),
        ("x = 3", "4"),
        ("3/4", "4/3"),
        ("a + b", "a - b"),
        ("a * b", "a / b"),
        ("a < b", "a > b"),
        ("x >= 3", "x > 3"),
        ("2^3", "3^2"),
        ("sqrt(2)", r"\sqrt{3}"),
        ("n(n+1)/2", "n(n-1)/2"),
        ("17*24 = 408.", "17*24 = 418."),
        ("x = 3", "x > 3"),
        ("x = 3", "x != 3"),
        ("(2^3)^x", "2^(3^x)"),
        ("x - 1 = 0", "x - 2 = 0"),
        ("x > 0", "-x > 0"),
        ("x^2 + C", "x^3 + C"),
        ("3 + 4i", "3 - 4i"),
        ("y = 2x + 1", "y = 2x - 1"),
        ("The answer is -12.", "The answer is 12."),
        ("I choose 4.", "I choose 14."),
        (r"The answer is $\boxed{2}$", r"The answer is $\boxed{4}$"),
        (r"So x = 10/2 = 5. \boxed{5}", r"So x = 10/2 = 5. \boxed{6}"),
        ("<answer>12</answer>", "<answer>21</answer>"),
        ("We add.\n#### 18", "We add.\n#### 81"),
        ("3.14", "3.15"),
        ("1", "0.5"),
        ("A ∪ B", "A ∩ B"),
        ("p or q", "p and q"),
        ("if a == 1 and b == 2:", "if a == 1 or b == 2:"),
        ("return a ** b", "return a * b"),
        (r"x \leq 3 \text{ or none}", r"x \geq 3 \text{ or none}"),
        ("```python\nif a == b:\n    go()\n```", "```python\nif a != b:\n    go()\n```"),
        ("SELECT a FROM t ORDER BY a ASC", "SELECT a FROM t ORDER BY a DESC"),
        ("return max(rows)", "return min(rows)"),
        ("def even(n):\n    return n % 2 == 0", "def even(n):\n    return n / 2 == 0"),
        ("rows[-1].name", "rows[1].name"),
        ("It is -5 degrees outside.", "It is 5 degrees outside."),
        ("find . -mtime -30 -delete", "find . -mtime +30 -delete"),
    ],
)
def test_two_answers(a: str, b: str) -> None:
    assert said(a, b) == TWO


@pytest.mark.parametrize(
    ("a", "b"),
    [
        # Equal values by other ways, and bare numbers that may name versions.
        ("8 * 2 - 3", "5 + 8"),
        ("8 * 2 - 3 = 13", "5 + 8 = 13"),
        ("(x + 1)^2", "x^2 + 2*x + 1"),
        ("3.10", "3.1"),
        # Roundings.
        ("3.14", "3.14159"),
        ("<answer>3.14</answer>", "<answer>3.14159</answer>"),
        ("1/3", "0.33"),
        ("150", "149.6"),
        (r"\boxed{12.5}", r"\boxed{13}"),
        (r"\boxed{10000000000000000001}", r"\boxed{10000000000000000002}"),
        # Lists, dates, spans, scores, units, decades and letters, which look like formulas.
        ("200, 403, 500", "403, 500, 200"),
        ("2024-01-02", "02-01-2024"),
        ("3/4/2024", "4/3/2024"),
        ("1135", "1135-1154"),
        ("1985", "1985–1993"),
        ("1990s", "90s"),
        ("5m", "5000m"),
        ("a", "b"),
        ("No", "On"),
        ("1e3", "1000"),
        ("50%", "0.5"),
        ("(1, 2)", "(2, 1)"),
        ("555-123-4567", "(555) 123-4567"),
        ("12/05", "12.05"),
        ("- 5", "5"),
        ("- 3\n- 4", "* 3\n* 4"),
        # A sign behind a polite word, marks of a table, and factorials.
        ("Sure! -5", "-5"),
        ("So, -5", "5"),
        ("|x - 3|", "x - 3"),
        ("5!", "120"),
        ("(n - 1)!", "n - 1"),
        ("7; also 17", "17"),
        # Functions, capitals, two values at once, and products that may be read in two ways.
        ("g(f(x))", "f(g(x))"),
        ("2f(x)", "f(2x)"),
        ("f(-x)", "-f(x)"),
        ("R - r", "r - R"),
        (r"\boxed{\frac{M}{m}}", r"\boxed{\frac{m}{M}}"),
        (r"\boxed{2 \pm \sqrt{3}}", r"\boxed{2 - \sqrt{3}}"),
        ("±3", "-3"),
        ("1/2x", "1/(2x)"),
        # The imaginary unit, a constant of integration, and equations that say the same.
        ("1/(1+i)", "(1-i)/2"),
        ("(x+1)^2/2 + C", "x^2/2 + x + C"),
        ("x - 1 = 0", "1 - x = 0"),
        ("x - 1 > 0", "2x - 2 > 0"),
        ("2x + y - 4 = 0", "4x + 2y - 8 = 0"),
        ("x = 3x - 4", "x = 2"),
        # Other names of variables, and one side with a constant.
        ("n^2", "m^2"),
        ("x^2 + C", "x^2"),
        ("2x = 6", "x = 3"),
        # Several marks, and headings.
        (r"(a) \boxed{3} (b) \boxed{5}", r"(a) \boxed{4} (b) \boxed{5}"),
        ("One.\n#### 3.\nTwo.", "Three.\n#### 3.\nFour."),
        # Prose.
        ("Try yoga, tennis and chess.", "Try yoga, tennis or chess."),
        ("- kiwi\n- plum", "* kiwi\n* plum"),
        ("- 5 plums", "5 plums"),
        ("It is +5 degrees outside.", "It is 5 degrees outside."),
        ("pages 3 -5", "pages 3 - 5"),
        ("1939-1945 it was", "1939 1945 it was"),
        ("**Paris**", "*Paris*"),
        ("*Answer:* Paris, France", "**Answer:** Paris, France"),
        ("x = 2 and x = 3", "x = 2 or x = 3"),
        ("The roots are 2 and 3.", "The roots are 2 or 3."),
        ("Paris", "Paris"),
        ("", ""),
    ],
)
def test_what_strings_do_not_settle(a: str, b: str) -> None:
    assert said(a, b) == OPEN


@st.composite
def sums(draw: st.DrawFn) -> tuple[list[tuple[int, list[int]]], random.Random]:
    factors = st.lists(st.integers(1, 9), min_size=1, max_size=3)
    terms = draw(st.lists(st.tuples(st.sampled_from([1, -1]), factors), min_size=2, max_size=4))
    return terms, draw(st.randoms(use_true_random=False))


def written(terms: list[tuple[int, list[int]]]) -> str:
    signed = " ".join(f"{'+' if s > 0 else '-'} {' * '.join(map(str, f))}" for s, f in terms)
    return signed.removeprefix("+ ")


@given(sums())
def test_sums_in_any_order_are_one_answer(
    drawn: tuple[list[tuple[int, list[int]]], random.Random],
) -> None:
    terms, source = drawn
    turned = [(sign, source.sample(f, len(f))) for sign, f in source.sample(terms, len(terms))]
    assert said(written(terms), written(turned)) == ONE


@given(sums(), sums())
def test_sums_of_other_values_are_two_answers(
    drawn: tuple[list[tuple[int, list[int]]], random.Random],
    other: tuple[list[tuple[int, list[int]]], random.Random],
) -> None:
    value, other_value = (
        sum(sign * int(np.prod(factors)) for sign, factors in terms) for terms, _ in (drawn, other)
    )
    answer = said(written(drawn[0]), written(other[0]))
    assert (answer == TWO) == (value != other_value)


@given(st.text("0123456789abx+-*/^=<>(){}.,%\\ sqrtfracboxed", max_size=90), st.text(max_size=40))
def test_any_text_is_read(text: str, other: str) -> None:
    assert said(text, text) in (ONE, OPEN)
    said(text, other)


@pytest.mark.parametrize("text", ["(" * 79, "9^9^9^9", "1/0", "sqrt(0-1)", "0^-1"])
def test_what_has_no_value_is_not_read(text: str) -> None:
    assert facts(text).formula is None


def test_settled_pairs_are_sure_and_the_others_as_they_were() -> None:
    texts = [facts(text) for text in ("a + b", "b + a", "a - b", "Paris")]
    pairs = np.asarray([[0, 1], [0, 2], [0, 3]])
    probabilities = np.asarray([0.3, 0.9, 0.4])
    settle(probabilities, texts, pairs)
    assert probabilities.tolist() == [SAME, DIFFERENT, 0.4]
    surer = np.asarray([0.99, 0.01, 0.4])
    settle(surer, texts, pairs)
    assert surer.tolist() == [0.99, 0.01, 0.4]
