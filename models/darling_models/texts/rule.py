"""The one rule of which text of a rollout is compared, for every route, file and trainer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from darling_models.reasoning import begins_inside, part_reasoning
from darling_models.texts.chat_templates import Turn
from darling_models.texts.special_tokens import is_blank
from darling_models.texts.tool_calls import with_plain_calls

TextRule = Literal["answer", "last", "reasoning", "assistant", "all"]
"""What of a rollout is compared:

    answer      what follows the reasoning, of the policy's own words
    last        the same of what the policy said last, after any words of a tool or a user
    reasoning   the policy's reasoning
    assistant   all the policy's words, reasoning included
    all         everything, the tools' and the environment's words included
"""


@dataclass(frozen=True, slots=True)
class ComparedText:
    """What of a rollout is compared."""

    text: str
    """Empty if it shows nothing, so that all blank rollouts are one class."""
    reasoning: Literal["dropped", "unfinished"] | None = None
    """Whether reasoning was left out; unfinished reasoning has no answer after it."""


def compared_text(
    turns: Sequence[Turn], rule: TextRule, in_reasoning: bool = False
) -> ComparedText:
    """Returns what of a rollout is compared.

    `in_reasoning`: the prompt ends with a mark such as <think>, so that the rollout begins inside
    the reasoning without a mark of its own.
    """
    if rule == "all":
        return ComparedText(visible(turn.text for turn in turns))
    own = own_words(turns, in_reasoning and rule != "assistant")
    if rule == "last":
        own = own[-1:]
    whole = with_plain_calls(visible(own))
    if rule == "assistant":
        return ComparedText(whole)
    parted = part_reasoning(whole)
    if rule == "reasoning":
        return ComparedText(visible([parted.reasoning or ""]))
    if parted.reasoning is None:
        return ComparedText(whole)
    status: Literal["dropped", "unfinished"] = "dropped" if parted.finished else "unfinished"
    return ComparedText(visible([parted.answer]), status)


def own_words(turns: Sequence[Turn], in_reasoning: bool = False) -> list[str]:
    """The policy's own texts: one for each run of its turns that nobody else interrupts."""
    own = [
        visible(turn.text for turn in run)
        for is_own, run in groupby(turns, lambda turn: turn.role == "assistant")
        if is_own
    ]
    if own and in_reasoning:
        own[0] = f"<think>\n{own[0]}"
    if any(map(begins_inside, own[:-1])):
        # The template opens the reasoning in front of each of the policy's turns, so that one that
        # does not close it is all reasoning.
        first = next(place for place, text in enumerate(own) if begins_inside(text))
        own[first + 1 :] = [f"<think>\n{text}" for text in own[first + 1 :]]
    return own


def visible(texts: Iterable[str]) -> str:
    """The texts as one, without those that are blank; empty if it shows nothing."""
    whole = "\n\n".join(text for text in texts if not is_blank(text)).strip()
    return "" if is_blank(whole) else whole
