"""Quality: the task's own reward for each rollout, before diversity is looked at."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from darling_service.rewards.exact import FloatArray, deviation, mean
from darling_service.rewards.rounding import is_flat

ANNOUNCED = re.compile(r"####|answer(?: is|:)", re.IGNORECASE)
BOXED = r"\boxed{"


def from_correctness(correct: Sequence[bool]) -> FloatArray:
    """1 for a correct rollout, 0 for a wrong one. Shape (n,)."""
    return np.asarray(correct, dtype=np.float64)


def from_reference(answers: Sequence[str], reference: str) -> FloatArray:
    """1 where the answer equals the reference, up to case and white space; else 0. Shape (n,)."""
    gold = normal(reference)
    return np.asarray([normal(answer) == gold for answer in answers], dtype=np.float64)


def from_label(text: str, label: str) -> float:
    """1 if the response, or the final answer in it, equals the label up to case and space; else 0.

    A final answer is the last \\boxed{...}, what follows the last "answer is", "answer:" or
    "####", or the last line.
    """
    gold = _bare(label)
    return float(any(_bare(answer) == gold for answer in _answers_in(text)))


def zscore(values: FloatArray) -> FloatArray:
    """(x - mean) / sample standard deviation within the group; all zeros where all x are equal, up
    to rounding.

    The published code scales by z/sum instead, which leaves a wrong answer at 0 rather than at its
    negative z, and then overwrites the result (bugs 3 and 4 of `docs/decisions.md`).
    """
    if is_flat(values):
        return np.zeros_like(values)
    return (values - mean(values)) / deviation(values)


def _answers_in(text: str) -> Iterator[str]:
    yield text
    lines = text.strip().splitlines()
    if lines:
        yield lines[-1]
    if said := list(ANNOUNCED.finditer(text)):
        yield text[said[-1].end() :].strip().partition("\n")[0]
    start = text.rfind(BOXED) + len(BOXED)
    if start >= len(BOXED):
        depth = 1
        for end in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                yield text[start:end]
                return


def _bare(answer: str) -> str:
    """Without the dollars, asterisks and full stop that may stand around an answer."""
    bare = answer.strip(" \t\r\n*$").removesuffix(".")
    return normal(bare) if bare == answer else _bare(bare)


def normal(answer: str) -> str:
    """Up to case and white space."""
    return " ".join(answer.split()).casefold()
