"""The one rule of which text of a rollout is compared, for every route, file and trainer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from darling_models.reasoning import begins_inside, part_reasoning
from darling_models.texts.chat_templates import Turn
from darling_models.texts.special_tokens import is_blank
from darling_models.texts.tool_calls import with_plain_calls, without_calls

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
        return ComparedText(visible(turn.words for turn in turns))
    if rule == "assistant":
        own = _before_calls(turn for run in _own_runs(turns) for turn in run)
        return ComparedText(visible(_with_calls(text, calls) for text, calls in own))
    own = _own(turns, in_reasoning, last=rule == "last")
    if rule == "reasoning":
        return ComparedText(visible(part_reasoning(text).reasoning or "" for text, _ in own))
    return _answer(own, _with_calls)


def own_text(turns: Sequence[Turn], in_reasoning: bool = False) -> str:
    """Returns all that the policy itself said, reasoning and calls of tools included.

    `in_reasoning` as in `compared_text`.
    """
    own = _own(turns, in_reasoning)
    return visible(Turn("assistant", text, calls).words for text, calls in own)


def own_answer(turns: Sequence[Turn], in_reasoning: bool = False) -> str:
    """Returns what the policy said after its reasoning, without calls of tools: the final answer is
    one of these words. Arguments of a call are not said to the user, and a policy could write any
    answer into them.

    `in_reasoning` as in `compared_text`.
    """
    return _answer(_own(turns, in_reasoning), lambda text, calls: without_calls(text)).text


def _own(turns: Sequence[Turn], in_reasoning: bool, *, last: bool = False) -> list[tuple[str, str]]:
    """The policy's words as `_before_calls` has them, or those of its last run of turns, with the
    marks of reasoning that the prompt or a template has opened."""
    runs = _opened_in_each(_own_runs(turns))
    if last:
        in_reasoning, runs = in_reasoning and len(runs) == 1, runs[-1:]
    own = _before_calls(turn for run in runs for turn in run)
    if own and in_reasoning:
        own[0] = (f"<think>\n{own[0][0]}", own[0][1])
    return own


def _opened_in_each(runs: list[list[Turn]]) -> list[list[Turn]]:
    """The runs of a policy whose template opens the reasoning in front of each of them, as one run
    shows that closes what it does not open: the later ones then begin inside their reasoning."""
    for later, run in enumerate(runs[:-1], start=1):
        if begins_inside(visible(turn.text for turn in run)):
            return runs[:later] + [
                [replace(run[0], text=f"<think>\n{run[0].text}"), *run[1:]] for run in runs[later:]
            ]
    return runs


def _answer(own: Sequence[tuple[str, str]], say: Callable[[str, str], str]) -> ComparedText:
    """What follows the last reasoning, by `say` of its texts and the calls after each. Calls are
    never parted: they end the reasoning before."""
    answer: list[str] = []
    fate: Literal["dropped", "unfinished"] | None = None
    for text, calls in reversed(own):
        parted = part_reasoning(text)
        answer.append(say(parted.answer, calls))
        if parted.reasoning is not None:
            fate = "dropped" if parted.finished or calls else "unfinished"
            break
    return ComparedText(visible(reversed(answer)), fate)


def _before_calls(turns: Iterable[Turn]) -> list[tuple[str, str]]:
    """(text, calls): the texts up to each turn that calls tools as one, and the calls."""
    own: list[tuple[str, str]] = []
    texts: list[str] = []
    for turn in turns:
        texts.append(turn.text)
        if turn.calls:
            own.append((visible(texts), turn.calls))
            texts = []
    return [*own, (visible(texts), "")] if texts else own


def _with_calls(text: str, calls: str) -> str:
    """The text, in which calls may stand between marks, and the calls after it."""
    return Turn("assistant", with_plain_calls(text), calls).words


def _own_runs(turns: Sequence[Turn]) -> list[list[Turn]]:
    """The policy's turns, in runs that nobody else interrupts."""
    runs = groupby(turns, lambda turn: turn.role == "assistant")
    return [list(run) for is_own, run in runs if is_own]


def visible(texts: Iterable[str]) -> str:
    """The texts as one, without those that are blank; empty if it shows nothing."""
    whole = "\n\n".join(text for text in texts if not is_blank(text)).strip()
    return "" if is_blank(whole) else whole
