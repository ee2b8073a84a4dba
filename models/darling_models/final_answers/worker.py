"""What runs in a worker process of `final_answers`: math-verify on answers that may be hostile.

`9^{9^{9^9}}` is a legal answer and would compute for ever. math-verify's own time-out needs SIGALRM
and cannot stop one long multiplication; here the kernel ends the process when a question has used
up its CPU time, however busy the machine is. It does so with SIGXCPU, which nobody else sends.
"""

import logging
import resource
import signal
import time
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

from darling_models.final_answers.formula import formula

CPU_SECONDS = 2
"""CPU time for one question; the kernel counts whole seconds, so it may be one more."""
QUICK_SECONDS = 0.5
"""CPU time for a question that is asked for the first time: most answers take 0.02."""
MEMORY_BYTES = 4 * 2**30
"""Address space of a worker, which a hostile answer could otherwise fill without end."""
READY = "ready"
DIGITS = 30
"""Digits to which two numbers are computed before they are compared."""
EXACT, ROUNDED = 1e-20, 1e-5
"""Largest difference of two equal numbers, as a fraction of the larger one: where both are exact,
and where one is written in decimals, such as 0.33333 for 1/3."""


def serve(connection: Connection) -> None:
    """Answers (quick, answers): for one answer whether it can be compared at all, for two whether
    they agree. A question that is to be quick ends the process by SIGPROF after `QUICK_SECONDS`."""
    logging.disable(logging.CRITICAL)  # math-verify logs whole texts
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the parent ends this
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warm_up()
    connection.send(READY)
    while True:
        try:
            quick, answers = connection.recv()
        except EOFError:
            return
        _allow(CPU_SECONDS)
        signal.setitimer(signal.ITIMER_PROF, QUICK_SECONDS if quick else 0)
        try:
            parsed = [_parsed(answer) for answer in answers]
            if len(parsed) == 1:
                _agree(parsed[0], _parsed("1"))
                verdict = bool(parsed[0])
            else:
                verdict = _agree(*parsed) or _agree(*reversed(parsed))
        except Exception:  # whatever a parser of hostile text may raise, RecursionError among it
            verdict = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send(verdict)


def warm_up() -> None:
    """Imports and grammars, which no question should pay for."""
    _agree(_parsed("1"), _parsed("1"))


def _allow(seconds: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, hard))


@lru_cache(maxsize=256)
def _parsed(answer: str) -> list[Any]:
    """The answer's expression and its text; the text alone if it cannot be parsed, and nothing if
    the answer is no formula."""
    from math_verify import LatexExtractionConfig, parse

    text = formula(answer)
    if text is None:
        return []
    parsed: list[Any] = parse(text, [LatexExtractionConfig()], parsing_timeout=None)
    return parsed


def _agree(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    if not verify(gold, answer, timeout_seconds=None):
        return False
    return gold[-1] == answer[-1] or _close(gold[0], answer[0])


def _close(first: Any, second: Any) -> bool:
    """Whether numbers that math-verify takes for equal are so beside their own size: it rounds to
    six decimals, where 1/2004! and 1/2006! are both 0. True for what is no number."""
    ours, theirs = _numbers(first), _numbers(second)
    if len(ours) != len(theirs):
        return True
    return all(any(_equal(a, b) for b in theirs) for a in ours)


def _numbers(expression: Any) -> list[Any]:
    """The numbers that an expression holds: a value, the right side of an equation, or elements."""
    from sympy import FiniteSet, Interval, Tuple
    from sympy.core.relational import Relational

    if isinstance(expression, Relational):
        return _numbers(expression.rhs)
    if isinstance(expression, FiniteSet | Interval | Tuple):
        return [number for element in expression.args for number in _numbers(element)]
    return [expression] if getattr(expression, "is_number", False) else []


def _equal(first: Any, second: Any) -> bool:
    from sympy import Float

    tolerance = ROUNDED if first.has(Float) or second.has(Float) else EXACT
    return any(_within(a, b, tolerance) for a in _values(first) for b in _values(second))


def _within(a: Any, b: Any, tolerance: float) -> bool:
    return bool(a == b or abs(a - b) <= tolerance * max(abs(a), abs(b)))


def _values(number: Any) -> list[Any]:
    """The number's value; for a percentage also the number before the sign, since math-verify takes
    20 % for 20 as well as for 0.2."""
    from math_verify.grader import get_pct_val

    bare = get_pct_val(number)
    return [n.evalf(DIGITS) for n in ([number] if bare is None else [bare / 100, bare])]
