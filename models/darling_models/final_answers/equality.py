"""Whether two answers are the same, by how they are written; nothing is computed.

`verify` of math-verify, which the model `answers` and the quality source `math-verify` ask after
this, knows that 6/8 is 3/4.
"""

import re

from darling_models.final_answers.extraction import final_answer, marked_answer
from darling_models.final_answers.plain_form import plain_form
from darling_models.reasoning import part_reasoning

MAX_LABEL_RATIO = 8
"""Characters of a reading for each of a label's, above `MAX_SHORT_CHARS`, up to which the two are
compared: LaTeX around an answer makes it no longer than that."""
MAX_SHORT_CHARS = 400
"""Characters up to which a reading is compared with any label."""
OPTION = re.compile(r"(?:(?:option|choice) )?[(\[]?([a-z])(?:[)\].:](.*))?", re.DOTALL)
NEXT_OPTION = re.compile(r"^(?:and|or|&|,|/)|(?<![a-z0-9])[a-j][)\].:]|^[a-z]$")
"""What follows an option's letter where another option is named too."""
COMPARISONS = ("<", ">", "!", ":", "=")
PROSE = re.compile(r"(?<![\\a-z])[a-z]{3,}|[,;]| or | and ")


def same_answer(a: str, b: str) -> bool:
    """Whether two answers are the same in plain form.

    The letter of an option is the same as the option, `A` as `(A)` and `A) Paris`, and the value
    of a variable the same as its equation, `42` as `x = 42`. A blank answer is the same as none.
    """
    first, second = plain_form(a), plain_form(b)
    if not first or not second:
        return False
    if first == second:
        return True
    return _same_option(first, second) or (
        ("=" in first) != ("=" in second) and _value(first) == _value(second)
    )


def matches_label(text: str, label: str) -> bool:
    """Whether the final answer of a response is the label.

    A label that is a worked solution stands for what its last box, `<answer>` or `####` holds. A
    response that is the label word for word, up to its plain form, matches too.
    """
    answer = final_answer(text)
    if answer is None:
        return False
    limit = MAX_SHORT_CHARS + MAX_LABEL_RATIO * len(label)
    whole = part_reasoning(text).answer
    readings = [r for r in (*answer.readings, whole) if len(r) <= limit]
    return any(same_answer(r, gold) for gold in labels_in(label) for r in readings)


def labels_in(label: str) -> tuple[str, ...]:
    """The answers that a label stands for: itself, or also what it marks as its final answer."""
    marked = marked_answer(label)
    return (label,) if marked is None else (marked.readings[0], label)


def _same_option(first: str, second: str) -> bool:
    (letter, words), (other, others) = map(_option, (first, second))
    if letter and other:
        return letter == other and not (words and others)
    return bool((letter and words == second) or (other and others == first))


def _option(plain: str) -> tuple[str, str]:
    """(letter, words) of an option such as "b) paris"; ("", plain) for other answers."""
    match = OPTION.fullmatch(plain)
    if match is None:
        return "", plain
    words = (match[2] or "").strip()
    return ("", plain) if NEXT_OPTION.search(words) else (match[1], words)


def _value(plain: str) -> str:
    """The right side of one equation; other answers as they are."""
    left, equals, right = plain.rpartition("=")
    if not equals or left.endswith(COMPARISONS) or PROSE.search(left):
        return plain
    return right
