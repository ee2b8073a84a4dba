"""Made-up groups of short answers: one answer in many wordings, and others in the same wording.

Real groups hold few of the pairs by which a frame is told from what stands in it: "The answer is
42." beside "42", and beside "The answer is 24.".
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from darling_models.labelled_data import TeacherGroup
from darling_models.training.augment.phrases import DATA, one_of, phrases, some_of, wrap

GROUPS = 1500
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
ONES += " fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
RESULTS = ("\\boxed{%s}", "$\\boxed{%s}$", "The answer is \\boxed{%s}.", "#### %s", "n = %s")
LISTS = (", ".join, lambda items: "\n".join(f"- {item}" for item in items))
"""Ways of writing a list, beside the numbered one."""
COUNT_PROMPTS = ("How many are there?", "What is the value of n?", "How many points were scored?")

Classes = list[list[str]]
"""Texts by class."""
Random = np.random.Generator


@cache
def _answers() -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((DATA / "answers.json").read_text("utf-8"))
    return answers


def short_answers(random: Random) -> list[TeacherGroup]:
    """Groups of all kinds; each has two to four classes."""
    kinds, shares = zip(*KINDS.items(), strict=True)
    groups = []
    for k in random.choice(len(kinds), size=GROUPS, p=np.asarray(shares)).tolist():
        prompt, classes = kinds[k](random)
        texts: dict[str, int] = {}
        for number, wordings in enumerate(classes):
            for text in wordings:
                texts.setdefault(text, number)
        groups.append(TeacherGroup(prompt, tuple(texts), np.asarray(list(texts.values()))))
    return groups


def _sum(random: Random) -> tuple[str, Classes]:
    """Results of a calculation, bare, in a frame, and at the end of the calculation."""
    a, b = (int(n) for n in random.integers(2, 100, size=2))
    sign, result = one_of((("*", a * b), ("+", a + b), ("-", a - b)), random)

    def say(value: int) -> str:
        number = _number(value, random)
        if random.random() < 0.3:
            form = one_of(("{}{}{} = {}", "{} {} {} = {}", "{} {} {} equals {}."), random)
            return form.format(a, sign, b, number)
        return _result(value, random)

    prompt = one_of(("What is {}{}{}?", "Compute {} {} {}.", "{} {} {} = ?"), random)
    values = _alike(result, random)
    return prompt.format(a, sign, b), [[say(v) for _ in range(2)] for v in values]


def _count(random: Random) -> tuple[str, Classes]:
    """Numbers without a calculation."""
    low, high = one_of(((0, 20), (20, 1000), (-50, 0), (1000, 100_000)), random)
    values = _alike(int(random.integers(low, high)), random)
    return one_of(COUNT_PROMPTS, random), [[_result(v, random) for _ in range(3)] for v in values]


def _result(value: int, random: Random) -> str:
    if random.random() < 0.25:
        return one_of(RESULTS, random) % value
    return wrap(_number(value, random), random)


def _number(value: int, random: Random) -> str:
    """A number in figures, or in words where they are short."""
    forms = [str(value), str(value), f"{value:,}"]
    if 0 <= -value < 100:
        forms += [f"−{-value}", f"minus {_words(-value)}"] if value else ["zero"]
    elif 0 < value < 100:
        forms.append(_words(value))
    return one_of(forms, random)


def _words(value: int) -> str:
    """An integer from 0 to 99 in words."""
    ones, tens = ONES.split(), TENS.split()
    if value < 20:
        return ones[value]
    ten, one = divmod(value, 10)
    return tens[ten - 2] + (f"-{ones[one]}" if one else "")


def _alike(value: int, random: Random) -> list[int]:
    """The number and up to three others that look like it: by sign, by digit, by order."""
    digits = str(abs(value))
    sign = -1 if value < 0 else 1
    swapped = sign * int(digits[::-1])
    others = [-value, value + 1, value - 10, value * 10, swapped, value + 100]
    return [value, *some_of(sorted({*others} - {value}), 3, random)]


def _pick(random: Random) -> tuple[str, Classes]:
    """Picks in frames of their own, some with a reason."""
    pick = one_of(_answers()["picks"], random)

    def say(answer: str) -> str:
        reason = f", {one_of(phrases().reasons, random)}" if random.random() < 0.3 else ""
        return wrap(answer + reason, random)

    answers = some_of(pick["answers"], one_of((2, 3, 4), random), random)
    return one_of(pick["prompts"], random), [[say(a) for _ in range(3)] for a in answers]


def _one_frame(random: Random) -> tuple[str, Classes]:
    """Different picks in one long frame, each also bare and in another frame."""
    pick = one_of(_answers()["picks"], random)
    frame = int(random.integers(2**32))

    def say(answer: str) -> list[str]:
        framed = wrap(answer, np.random.default_rng(frame), 0.9)
        return [framed, answer, wrap(answer, random, 0.8)]

    answers = some_of(pick["answers"], 3, random)
    return one_of(pick["prompts"], random), [say(answer) for answer in answers]


def _alias(random: Random) -> tuple[str, Classes]:
    """Other names, units and notations of one thing."""
    alias = one_of(_answers()["aliases"], random)

    def say(name: str) -> str:
        whole = "\n" in name or name.endswith((".", "!"))
        return name if whole else wrap(name, random, 0.2)

    classes = some_of(alias["classes"], 4, random)
    return alias["prompt"], [[say(name) for name in some_of(c, 3, random)] for c in classes]


def _verdict(random: Random) -> tuple[str, Classes]:
    """Yes, no, and sometimes neither."""
    answers = _answers()
    pools = [answers["yes"], answers["no"]]
    if random.random() < 0.4:
        pools.append(answers["unsure"])
    said = [[wrap(text, random, frames=("{}",)) for text in some_of(p, 3, random)] for p in pools]
    return one_of(answers["questions"], random) + "?", said


def _list(random: Random) -> tuple[str, Classes]:
    """A list, the same in another order, one with another item, and another one."""
    pick = one_of([pick for pick in _answers()["picks"] if len(pick["answers"]) >= 8], random)
    size = one_of((2, 3, 3, 4), random)
    drawn = some_of(pick["answers"], 2 * size, random)
    first, second = drawn[:size], drawn[size:]
    near = [*first[:-1], second[0]]

    def say(items: list[str]) -> str:
        items = some_of(items, size, random)
        numbered = "\n".join(f"{k}. {item}" for k, item in enumerate(items, start=1))
        text = one_of((*(write(items) for write in LISTS), numbered), random)
        return wrap(text, random, frames=("{}",))

    prompt = f"List {size} of these: {one_of(pick['prompts'], random)}"
    return prompt, [[say(items) for _ in range(3)] for items in (first, near, second)]


KINDS: dict[Callable[[Random], tuple[str, Classes]], float] = {
    _sum: 0.15,
    _count: 0.15,
    _pick: 0.2,
    _one_frame: 0.14,
    _alias: 0.16,
    _verdict: 0.1,
    _list: 0.1,
}
"""Each kind of group, and its share of the groups."""
