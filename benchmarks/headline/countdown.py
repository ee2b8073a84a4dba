"""The task Countdown: reach a target with two to four of five numbers, each used at most once.

A prompt is `1 2 3 5 8 = 13 :`, a completion `5 + 8` or `8 * 2 - 3`. Spaces separate the tokens.
There are no parentheses, so an expression is a sum of signed products. Its normal form under
commutativity and associativity therefore comes from sorting the factors in each product, then the
products.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations, product

DIGITS = range(1, 10)
GIVEN, LEAST, MOST = 5, 2, 4
"""How many numbers a prompt gives, and how few and how many of them an expression may use."""
TARGETS = range(1, 31)

Term = tuple[int, tuple[int, ...]]
"""The sign and the factors of a product."""


@dataclass(frozen=True)
class Problem:
    numbers: tuple[int, ...]
    target: int
    strategies: tuple[str, ...]
    """All correct expressions, in normal form."""

    @property
    def prompt(self) -> str:
        return f"{' '.join(map(str, self.numbers))} = {self.target} :"


def terms(text: str) -> list[Term] | None:
    """The signed products of an expression, or None if the text is no expression."""
    words = text.split()
    numbers, operators = words[::2], words[1::2]
    if len(words) % 2 == 0 or not set(operators) <= {"+", "-", "*"}:
        return None
    if not all(number.isdecimal() for number in numbers):
        return None
    return _terms(operators, [int(number) for number in numbers])


def _terms(operators: Sequence[str], numbers: Sequence[int]) -> list[Term]:
    found: list[tuple[int, list[int]]] = [(1, [numbers[0]])]
    for operator, number in zip(operators, numbers[1:], strict=True):
        if operator == "*":
            found[-1][1].append(number)
        else:
            found.append((-1 if operator == "-" else 1, [number]))
    return [(sign, tuple(factors)) for sign, factors in found]


def canonical(text: str) -> str:
    """The normal form, an expression of the same value; a text that is none stays as it is."""
    found = terms(text)
    return text if found is None else _written(_normal(found))


def _normal(found: Sequence[Term]) -> list[Term]:
    """The terms in descending order, which puts a positive term first, as an expression needs."""
    return sorted(((sign, tuple(sorted(f, reverse=True))) for sign, f in found), reverse=True)


def _written(found: Sequence[Term]) -> str:
    signed = " ".join(f"{'+-'[sign < 0]} {' * '.join(map(str, f))}" for sign, f in found)
    return signed.removeprefix("+ ")


def correct(numbers: Sequence[int], target: int, text: str) -> bool:
    """Whether the text makes the target from two to four of the numbers, each used at most once."""
    found = terms(text)
    if found is None:
        return False
    used = [factor for _, factors in found for factor in factors]
    return (
        LEAST <= len(used) <= MOST
        and not Counter(used) - Counter(numbers)
        and _value(found) == target
    )


def parsed(prompt: str) -> tuple[list[int], int]:
    """Returns (numbers, target) of a prompt."""
    given, target = prompt.removesuffix(":").split("=")
    return [int(number) for number in given.split()], int(target)


@cache
def problems() -> tuple[Problem, ...]:
    """All 3753 problems with a solution, with 8.3 strategies each on average; takes seconds."""
    found: list[Problem] = []
    for numbers in combinations(DIGITS, GIVEN):
        solved: dict[int, set[str]] = defaultdict(set)
        for expression in _expressions(numbers):
            if (value := _value(expression)) in TARGETS:
                solved[value].add(_written(_normal(expression)))
        found += [Problem(numbers, t, tuple(sorted(solved[t]))) for t in sorted(solved)]
    return tuple(found)


def _expressions(numbers: Sequence[int]) -> Iterator[list[Term]]:
    """Yields every expression over the numbers, in every order."""
    for size in range(LEAST, MOST + 1):
        for order in permutations(numbers, size):
            for operators in product("+-*", repeat=size - 1):
                yield _terms(operators, order)


def _value(expression: Sequence[Term]) -> int:
    return sum(sign * math.prod(factors) for sign, factors in expression)


def shuffled(text: str, source: random.Random) -> str:
    """The same strategy with terms and factors in random order, a positive term first."""
    found = terms(text)
    assert found is not None
    source.shuffle(found)
    first = next(i for i, (sign, _) in enumerate(found) if sign > 0)
    found.insert(0, found.pop(first))
    return _written([(sign, tuple(source.sample(f, len(f)))) for sign, f in found])
