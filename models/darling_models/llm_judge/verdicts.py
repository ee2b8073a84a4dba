"""Reading a judge's answer: one that cannot be understood raises `ValueError`, none is guessed.

A judge may reason first, talk around its verdict, fence it, write it as Python would, or repeat it.
What counts is what it says after its reasoning, and that must be one verdict: a judge that says two
different things has not decided. Verdicts are searched for by patterns that take linear time, so
that no answer can hold up the service.
"""

import math
import re
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, TypeVar

from darling_models.reasoning import part_reasoning
from darling_models.remote.hosts import json_number

MIN_MASS = 0.1
"""Probability that the first token must give to yes and no together, to be an answer at all."""
DECORATION = " \t\r\n\"'`*.,:;!()[]{}_<>▁Ġ"
"""What tokens carry around their word: quotes, Markdown, tokenizers' marks for spaces."""
SAME = re.compile(r"""(["'])same\1\s*+:\s*+(["']?)(?P<value>true|false)\2\s*+[,}]""", re.IGNORECASE)
"""A verdict about a pair, as in {"same": true}."""
CLASSES = re.compile(
    r"""(["'])classes\1\s*+:\s*+(?P<value>\[(?:[\s,]*+\[[\d\s,]*+\])*+[\s,]*+\])""", re.IGNORECASE
)
"""A verdict about a group, as in {"classes": [[1, 3], [2]]}."""

Verdict = TypeVar("Verdict", bound=Hashable)


def first_token_probability(choice: Any) -> float:
    """P(yes) / (P(yes) + P(no)) of the answer's first word, over the ways to write them."""
    mass = {"yes": 0.0, "no": 0.0}
    for candidate in _first_word(choice["logprobs"]["content"])["top_logprobs"]:
        word = str(candidate["token"]).strip(DECORATION).lower()
        if word in mass:
            mass[word] += math.exp(json_number(candidate["logprob"]))
    total = mass["yes"] + mass["no"]
    if not MIN_MASS <= total <= 1.001:  # rounding of log-probabilities may exceed 1 by a little
        raise ValueError(
            f"yes and no have probability {total:.3f} together; a judge that reasons first needs "
            "room for it: set max_tokens in judge_parameters"
        )
    return mass["yes"] / total


def json_same(choice: Any) -> float:
    """1 or 0 from {"same": true} or {"same": false}."""
    answer = _answer(choice)
    return float(
        _only((match["value"].lower() for match in SAME.finditer(answer)), answer) == "true"
    )


def json_classes(choice: Any, count: int) -> list[int]:
    """The class of each of `count` texts, from {"classes": [[1, 3], [2]]}, a true partition."""
    answer = _answer(choice)
    return list(_only(_partitions(answer, count), answer))


def _only(verdicts: Iterable[Verdict], answer: str) -> Verdict:
    distinct = set(verdicts)
    if len(distinct) != 1:
        number = len(distinct) or "no"
        raise ValueError(
            f"the judge's answer holds {number} verdicts, and one is needed: {answer[:200]!r}"
        )
    return distinct.pop()


def _partitions(answer: str, count: int) -> Iterator[tuple[int, ...]]:
    """The class of each text, from every list of classes that is a partition of 1 to `count`."""
    for match in CLASSES.finditer(answer):
        listed = [
            [int(number) for number in re.findall(r"\d+", members)]
            for members in re.findall(r"\[([\d\s,]*+)\]", match["value"])
        ]
        numbers = sorted(number for members in listed for number in members)
        if numbers == list(range(1, count + 1)):
            place = {number: c for c, members in enumerate(listed) for number in members}
            labels = [place[number] for number in numbers]
            first = {label: labels.index(label) for label in labels}
            yield tuple(first[label] for label in labels)


def _answer(choice: Any) -> str:
    """What a message says after its reasoning."""
    content = choice["message"]["content"]
    if not isinstance(content, str):
        raise TypeError(f"the answer is {type(content).__name__}, and should be text")
    return _parted_answer(content)


def _parted_answer(text: str) -> str:
    parted = part_reasoning(text)
    if not parted.finished:
        raise ValueError(
            "the judge's reasoning does not end; give it room with max_tokens in judge_parameters"
        )
    return parted.answer


def _first_word(tokens: Any) -> Any:
    """The first token of the answer that carries a word; the first one of all if none does."""
    written = [str(token["token"]) for token in tokens]
    text = "".join(written)
    start = text.rfind(_parted_answer(text))
    end = 0
    for token, piece in zip(tokens, written, strict=True):
        end += len(piece)
        if end > start and piece.strip(DECORATION):
            return token
    return tokens[0]
