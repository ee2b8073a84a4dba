"""The questions put to a judge. One polarity everywhere: yes means the same, no means different.

The published judge asked whether two solutions differ and read its yes as "equivalent"; here the
question and the answer are written side by side, and a test holds them together.
"""

from collections.abc import Sequence
from typing import get_args

from darling_models.options import Domain, VerdictForm
from darling_models.protocol import Notion

NOTIONS: tuple[Notion, ...] = get_args(Notion)

SAME_ANSWER: dict[Domain, str] = {
    "general": (
        "Two responses are the same if they are functionally equivalent: a user who has seen one "
        "would gain nothing from seeing the other. Different wording alone does not make them "
        "different, nor does another way to the same answer; different facts, advice, choices or "
        "conclusions do."
    ),
    "creative": (
        "Two responses are the same if they rest on the same idea: the same premise, subject, "
        "characters, turn or central image. Different wording, length or names alone do not make "
        "them different; another idea does."
    ),
}
SAME_APPROACH = (
    "Two responses are the same if they use the same strategy to solve the problem: the same "
    "key idea, method or theorem in the same role. Different wording, notation, arithmetic, "
    "order of routine steps or even final answers do not make them different; another "
    "approach does, even if it comes to the same answer. Responses that show no way to their "
    "answer are the same if their answers are."
)

ANSWER: dict[VerdictForm, str] = {
    "logprobs": "Answer with one word: yes if they are the same, no if they are different.",
    "json": (
        'Answer with JSON alone: {"same": true} if they are the same, {"same": false} if they are '
        "different."
    ),
    "group": (
        'Answer with JSON alone, such as {"classes": [[1, 3], [2]]}: two responses stand in one '
        "list if they are the same, in two lists if they are different. Every number of a "
        "response appears exactly once."
    ),
}

QUESTION: dict[VerdictForm, str] = {
    "logprobs": "Are the two responses the same?",
    "json": "Are the two responses the same?",
    "group": "Which responses are the same?",
}
"""The question at the end of the conversation: small models answer the last thing they read."""

REFERENCE = "The reference is the right answer to the prompt; it is none of the responses. "

Message = dict[str, str]


def definition(notion: Notion, domain: Domain) -> str:
    """When two responses are the same, in the words that the judge reads."""
    return SAME_APPROACH if notion == "approach" else SAME_ANSWER[domain]


def messages(
    same: str, verdict: VerdictForm, prompt: str, texts: Sequence[str], reference: str = ""
) -> list[Message]:
    """The conversation that asks about `texts`, numbered from 1; `same` says when two are.

    `reference`: the right answer to the prompt, if the judge is to see it.
    """
    shown = [f"<prompt>\n{prompt}\n</prompt>"]
    if reference:
        shown.append(f"<reference>\n{reference}\n</reference>")
    shown += [
        f"<response {number}>\n{text}\n</response {number}>"
        for number, text in enumerate(texts, start=1)
    ]
    told = f"You compare responses to one prompt. {REFERENCE if reference else ''}{same}"
    system = f"{told}\n\n{ANSWER[verdict]}"
    user = "\n\n".join([*shown, f"{QUESTION[verdict]} {ANSWER[verdict]}"])
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]
