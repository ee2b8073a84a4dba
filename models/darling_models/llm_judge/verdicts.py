"""Reading a judge's answer: one that cannot be understood raises `ValueError`, none is guessed."""

import json
import math
from typing import Any

MIN_MASS = 0.1
"""Probability that the first token must give to yes and no together, to be an answer at all."""
DECORATION = " \t\r\n\"'`*.,:;!()[]{}_<>▁Ġ"
"""What tokens carry around their word: quotes, Markdown, tokenizers' marks for spaces."""


def first_token_probability(choice: Any) -> float:
    """P(yes) / (P(yes) + P(no)) of the first token, over the ways to write them."""
    mass = {"yes": 0.0, "no": 0.0}
    for candidate in choice["logprobs"]["content"][0]["top_logprobs"]:
        word = str(candidate["token"]).strip(DECORATION).lower()
        if word in mass:
            mass[word] += math.exp(float(candidate["logprob"]))
    total = mass["yes"] + mass["no"]
    if not MIN_MASS <= total <= 1.001:  # rounding of log-probabilities may exceed 1 by a little
        raise ValueError(f"yes and no have probability {total:.3f} together")
    return mass["yes"] / total


def json_same(choice: Any) -> float:
    """1 or 0 from {"same": true} or {"same": false}."""
    same = _object(choice)["same"]
    if not isinstance(same, bool):
        raise ValueError(f"{same!r} is neither true nor false")
    return float(same)


def json_classes(choice: Any, count: int) -> list[int]:
    """The class of each of `count` texts, from {"classes": [[1, 3], [2]]}, a true partition."""
    listed = _object(choice)["classes"]
    numbers = [number for members in listed for number in members]
    if any(type(number) is not int for number in numbers):
        raise ValueError("the classes hold something that is no number")
    if sorted(numbers) != list(range(1, count + 1)):
        raise ValueError(f"{listed} is no partition of 1 to {count}")
    place = {number: c for c, members in enumerate(listed) for number in members}
    return [place[number] for number in range(1, count + 1)]


def _object(choice: Any) -> dict[str, Any]:
    """The JSON object in a message, which models like to wrap in a code fence."""
    content = choice["message"]["content"]
    start, end = content.find("{"), content.rfind("}")
    document = json.loads(content[start : end + 1])
    if not isinstance(document, dict):
        raise ValueError("the answer is no JSON object")
    return document
