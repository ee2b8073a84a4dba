"""Parts a response into the reasoning that a policy writes first and the answer that follows it.

What a user sees of a reasoning model is its answer, so equivalence and quality are decided on that.
The marks are those of today's open models: `<think>` and its kin (DeepSeek, Qwen, GLM, Seed),
`[THINK]` (Magistral), `<|begin_of_thought|>` (Sky-T1, OpenThinker), `<|START_THINKING|>` (Command
A), `◁think▷` (Kimi), gpt-oss's channels, and Granite's opening and closing sentences.
"""

import re
from dataclasses import dataclass

TAGS = "think|thinking|thought|thoughts|reasoning|scratchpad|inner_monologue|seed:think"
"""Names of tags that enclose reasoning."""

OPENING = rf"""
    <(?:{TAGS})>
  | \[THINK\]
  | ◁think▷
  | <\|begin_of_thought\|>
  | <\|START_THINKING\|>
  | <\|channel\|>analysis(?:<\|message\|>)?
  | \AHere\ is\ my\ thought\ process:
"""
CLOSING = rf"""
    </(?:{TAGS})>
  | \[/THINK\]
  | ◁/think▷
  | <\|end_of_thought\|>(?:\s{{0,9}}<\|begin_of_solution\|>)?
  | <\|END_THINKING\|>(?:\s{{0,9}}<\|START_RESPONSE\|>)?
  | <\|channel\|>(?:final|commentary)[^<]{{0,99}}<\|message\|>
  | ^Here\ is\ my\ response:
"""
MARK = re.compile(rf"(?P<opening>{OPENING})|(?P<closing>{CLOSING})", re.X | re.I | re.M)
"""Every alternative is of bounded length, so that a search takes time linear in the text."""

ENDING = re.compile(r"(?:\s|<\|(?:end|return|call|end_of_solution|END_RESPONSE)\|>){0,999}\Z", re.I)
SPOKEN_ANALYSIS, SPOKEN_FINAL = "analysis", "assistantfinal"
"""What gpt-oss's channels come to when a tokenizer drops its special tokens."""
ENDING_CHARS = 1_000
"""Characters at the end of an answer that are searched for closing marks of its channel."""
SENTENCE_ENDS = frozenset(".!?:;>]|*)\"'”’…。！？▷")
"""Characters after which an opening tag in the middle of a row is the policy's own. After any other
it is a word of the text, as in "write a <think> tag"."""


@dataclass(frozen=True, slots=True)
class Parted:
    """A response in two parts."""

    reasoning: str | None
    """The reasoning without its marks; None if the response has none."""
    answer: str
    """What follows the reasoning; empty if the reasoning does not end."""
    finished: bool
    """Whether the response has no reasoning, or reasoning that ends."""


def part_reasoning(text: str) -> Parted:
    """Returns the parts of `text`; a text without reasoning is its own answer, unchanged.

    The answer follows the last closing mark, whether or not the opening one is in the text: a chat
    template may have written it at the end of the prompt. Reasoning that opens after that and does
    not close leaves no answer. Marks within backticks are words of the text.
    """
    closed, opened = 0, -1
    for mark in MARK.finditer(text):
        if text[mark.start() - 1 : mark.start()] == "`" or text[mark.end() : mark.end() + 1] == "`":
            continue
        if mark["closing"] is not None:
            closed, opened = mark.end(), -1
        elif opened < 0 and _opens(text, mark.start()):
            opened = mark.start()
    if opened >= 0:
        return Parted(MARK.sub("", text).strip(), "", finished=False)
    if closed:
        return Parted(MARK.sub("", text[:closed]).strip(), _trimmed(text[closed:]), finished=True)
    if text.startswith(SPOKEN_ANALYSIS) and SPOKEN_FINAL in text:
        reasoning, _, answer = text.removeprefix(SPOKEN_ANALYSIS).rpartition(SPOKEN_FINAL)
        return Parted(reasoning.strip(), answer.strip(), finished=True)
    return Parted(None, text, finished=True)


def _opens(text: str, start: int) -> bool:
    """Whether an opening mark at `start` stands where a policy begins to reason."""
    before = text[max(0, start - 99) : start]
    row = before.rpartition("\n")[2].rstrip()
    return not row or row[-1] in SENTENCE_ENDS


def _trimmed(answer: str) -> str:
    """`answer` without the white space around it and the marks that end its channel."""
    answer = answer.strip()
    tail = max(0, len(answer) - ENDING_CHARS)
    ending = ENDING.search(answer, tail)
    return answer if ending is None else answer[: ending.start()]
