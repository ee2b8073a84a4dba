"""Parts a response into the reasoning that a policy writes first and the answer that follows it.

What a user sees of a reasoning model is its answer, so equivalence and quality are decided on that.
The marks are those of today's open models: `<think>` and its kin (DeepSeek, Qwen, GLM, Seed),
`[THINK]` (Magistral), `<|begin_of_thought|>` (Sky-T1, OpenThinker), `<|START_THINKING|>` (Command
A), `◁think▷` (Kimi), `<|inner_prefix|>` (Apertus), `<|think|>` (Solar), the channels of gpt-oss and
Gemma, and Granite's opening and closing sentences.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

TAGS = (
    "think|thinking|thought|thoughts|thought_process|antthinking|reasoning|reason|analysis|cot|"
    "chain_of_thought|scratchpad|inner_monologue|seed:think"
)
"""Names of tags that enclose reasoning."""

OPENING = rf"""
    <(?:{TAGS})(?:\s[^<>\n]{{0,99}})?>
  | \[THINK\]
  | ◁think▷
  | <\|think\|>
  | <\|begin_of_thought\|>
  | <\|START_THINKING\|>
  | <\|inner_prefix\|>
  | <\|channel\|>analysis(?:<\|message\|>)?
  | <\|channel>thought
  | \AHere(?:\ is|'s|’s)\ my\ thought\ process:
"""
CLOSING = rf"""
    </(?:{TAGS})\s{{0,9}}>
  | \[/THINK\]
  | ◁/think▷
  | <\|/think\|>
  | <\|begin\|>assistant<\|content\|>
  | <\|end_of_thought\|>(?:\s{{0,9}}<\|begin_of_solution\|>)?
  | <\|END_THINKING\|>(?:\s{{0,9}}<\|START_RESPONSE\|>)?
  | <\|inner_suffix\|>
  | <\|channel\|>(?:final|commentary)[^<]{{0,99}}<\|message\|>
  | <channel\|>
  | ^Here(?:\ is|'s|’s)\ my\ response:
"""
MARK = re.compile(rf"(?P<opening>{OPENING})|(?P<closing>{CLOSING})", re.X | re.I | re.M)
"""Every alternative is of bounded length, so that a search takes time linear in the text."""
SIGNS = ("<", "[", "◁", "my thought process:", "my response:")
"""Every mark has one of these in lower case. A text without any, as most are, is known to have no
mark 20 times faster than by a search for marks, which holds the interpreter's lock."""
QUOTED = re.compile(r"^[ \t]*```|</?tool_call>", re.M)
"""Where a fence of code or a call of a tool begins and ends; a mark inside is not the policy's."""
QUOTES = frozenset("`'\"‘’“”«»")
"""Characters that, on both sides of a mark, make it a word of the text."""

ENDING = re.compile(r"(?:\s|<\|(?:end|return|call|end_of_solution|END_RESPONSE)\|>){0,999}\Z", re.I)
SPOKEN = re.compile(r"\A(?:assistant)?analysis(?=[^\W\d_a-z]|\d)|(?<!\s)assistantfinal(?!\s)")
"""What gpt-oss's channels come to when a tokenizer drops its special tokens: nothing stands between
the channel's name and its words."""
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
    not close leaves no answer. Marks between quotation marks are words of the text, and so are
    those outside of reasoning in fences of code and calls of tools.
    """
    closed, opened = 0, -1
    quoted = deque(_quoted(text))
    for mark in _marks(text):
        while quoted and quoted[0][1] <= mark.start():
            quoted.popleft()
        if opened < 0 and quoted and quoted[0][0] < mark.start():
            continue
        if mark["closing"] is not None:
            closed, opened = mark.end(), -1
        elif opened < 0 and _opens(text, mark.start()):
            opened = mark.start()
    if opened >= 0:
        return Parted(MARK.sub("", text).strip(), "", finished=False)
    if closed:
        reasoning = _trimmed(MARK.sub("", text[:closed]))
        return Parted(reasoning, _trimmed(text[closed:]), finished=True)
    spoken = list(SPOKEN.finditer(text)) if "assistantfinal" in text else []
    if len(spoken) > 1 and spoken[0].start() == 0:
        reasoning, answer = text[spoken[0].end() : spoken[-1].start()], text[spoken[-1].end() :]
        return Parted(reasoning.strip(), answer.strip(), finished=True)
    return Parted(None, text, finished=True)


def begins_inside(text: str) -> bool:
    """Whether `text` closes reasoning that it does not open: the prompt, or the template of each of
    a conversation's turns, has opened it."""
    first = next(_marks(text), None)
    return first is not None and first["closing"] is not None


def _marks(text: str) -> Iterator[re.Match[str]]:
    """The marks of a text, but for those that are words of it."""
    lower = text.lower()
    if not any(sign in lower for sign in SIGNS):
        return iter(())
    marks = MARK.finditer(text)
    return (mark for mark in marks if not _is_word(text, mark.start(), mark.end()))


def _quoted(text: str) -> list[tuple[int, int]]:
    """Stretches between two fences of code, or between the marks of a tool's call. A stretch that
    does not end is none: it may be in reasoning that was cut off."""
    stretches = []
    ends = {"```": "```", "<tool_call>": "</tool_call>"}
    start, wanted = 0, ""
    for found in QUOTED.finditer(text):
        mark = found.group().strip()
        if mark == wanted:
            stretches.append((start, found.end()))
            wanted = ""
        elif not wanted and mark in ends:
            start, wanted = found.start(), ends[mark]
    return stretches


def _is_word(text: str, start: int, end: int) -> bool:
    """Whether the mark from `start` to `end` stands between quotation marks."""
    return text[start - 1 : start] in QUOTES and text[end : end + 1] in QUOTES


def _opens(text: str, start: int) -> bool:
    """Whether an opening mark at `start` stands where a policy begins to reason."""
    before = text[max(0, start - 99) : start]
    row = before.rpartition("\n")[2].rstrip()
    return not row or row[-1] in SENTENCE_ENDS


def _trimmed(part: str) -> str:
    """`part` without the white space around it and the marks that end its channel."""
    part = part.strip()
    ending = ENDING.search(part, max(0, len(part) - ENDING_CHARS))
    return part if ending is None else part[: ending.start()]
