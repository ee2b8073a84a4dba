"""Conversations as chat templates write them, read back into turns.

Trainers that speak HTTP send what the model saw: the conversation inside its chat template. The
templates are those of ChatML (Qwen, Yi, Hermes, SmolLM, Phi 4, Kimi), Llama 2 to 4, Gemma, Mistral,
DeepSeek, Phi 3, Zephyr, Tulu, GLM, Command R and A, Granite, Nemotron, EXAONE, Seed, Apertus and
gpt-oss. Every pattern is of bounded length, so that reading takes time linear in the text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

from darling_models.reasoning import TAGS, part_reasoning
from darling_models.texts.special_tokens import ANYWHERE, is_blank, trimmed, without_special_tokens
from darling_models.texts.tool_calls import call_text

NAME = r"[A-Za-z][\w.-]{0,40}"
SHORT = "system|user|assistant|observation|tool|human|bot|prompter|developer|environment|ipython"
QUOTED = r" \t`\"'("
"""Characters before a header that make it a word of the text, unless a tag ends before the space.
After a short header, such as <|user|>, a space and a small letter do the same."""
FIELD = r"(?:[ ][\w-]{1,20}=[^\n<]{0,40})?"
"""A name or a recipient that follows the role."""
CONSTRAINT = r"(?:<\|constrain\|>[^<\n]{0,40})?"
HEADER = re.compile(
    rf"""
    <(?:(?<![{QUOTED}]<)|(?<=>[ ]<))(?:
        \|im_start\|>[ ]?(?P<chatml>{NAME}){FIELD}[ \t\r]{{0,9}}(?:\n|<\|im_sep\|>|\Z)
      | \|im_(?P<kimi>user|assistant|system)\|>[^\n<]{{0,60}}<\|im_middle\|>
      | \|start_header_id\|>\s?(?P<llama3>{NAME})\s?<\|end_header_id\|>
      | \|header_start\|>(?P<llama4>{NAME})<\|header_end\|>
      | start_of_turn>(?P<gemma>{NAME})(?:\n|\Z)
      | \|start_of_role\|>(?P<granite>{NAME})[^\n<]{{0,60}}<\|end_of_role\|>
      | (?:\|START_OF_TURN_TOKEN\|><)?\|(?P<command>USER|CHATBOT|SYSTEM)_TOKEN\|>
      | [|｜](?P<short>{SHORT})[|｜]>(?![ ](?-i:[a-z]))
      | [|｜](?P<tools>tool▁outputs▁begin|tool▁outputs▁end)[|｜]>
      | \|(?P<apertus>user|assistant|system|developer)_start\|>
      | (?:extra_id_\d|SPECIAL_\d\d)>(?P<nemotron>System|User|Assistant|Tool)(?:\n|\Z)
      | seed:bos>(?P<seed>{NAME})(?:\n|\Z)
      | \|start\|>(?P<author>{NAME})(?P<to>[^<\n]{{0,80}})
          (?:<\|channel\|>(?P<channel>[^<\n]{{0,80}}))?{CONSTRAINT}<\|message\|>
      | \|channel\|>(?P<bare_channel>[^<\n]{{0,80}}){CONSTRAINT}<\|message\|>
      | \|start\|>(?P<opened>assistant)\Z
    )
  | \[(?:
        (?:(?<=\A\[)|(?<=[\n\]]\[)|(?<=s>\[)|(?<=s>[ ]\[))
          (?P<mistral>INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\]
      | (?P<mistral_end>/INST|/TOOL_RESULTS)\]
      | (?<![{QUOTED}]\[)\|(?P<exaone>user|assistant|system|tool)\|\](?![ ](?-i:[a-z]))
    )
    """,
    re.X | re.I,
)
"""Both alternatives begin with one character, so that a search skips to it."""
ROLES = {
    **dict.fromkeys(("user", "human", "prompter", "inst"), "user"),
    **dict.fromkeys(
        (
            *("assistant", "model", "chatbot", "bot", "ai", "gpt"),
            *("/inst", "/tool_results", "tool▁outputs▁end"),
        ),
        "assistant",
    ),
    **dict.fromkeys(("system", "developer", "system_prompt", "available_tools"), "system"),
}
"""What a header's name comes to; any other name is a tool's or an environment's."""
HARMONY_ENDS = ("<|end|>", "<|return|>", "<|call|>")
RECIPIENT = re.compile(r"to=(?:functions\.)?([\w.-]+)")
THINKS = re.compile(r"<\|(?:begin_of_thought|START_THINKING)\|>", re.I)
ANSWERS = re.compile(r"<\|(?:end_of_thought|END_THINKING)\|>", re.I)
"""Marks of reasoning that are special tokens; they are written as <think> and </think>."""
OPENED = re.compile(rf"(?:<(?:{TAGS})>|\[THINK\]|◁think▷)\s{{0,9}}\Z", re.I)
MAX_MARK_CHARS = 40
"""Characters at the end of a prompt among which a mark that opens reasoning is looked for."""
TOOL_RESPONSE = "<tool_response>"
"""Start of a user's turn that holds a tool's output, in Qwen's template."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says in a conversation."""

    role: str
    """user, assistant, system or tool."""
    text: str
    """Without special tokens; reasoning is marked by <think> and </think>."""
    calls: str = ""
    """Tools that are called after the text, as rows; marks in their arguments mean nothing."""

    @property
    def words(self) -> str:
        """The text and the calls after it."""
        return "\n".join(part for part in (self.text, self.calls) if part)


@dataclass(frozen=True, slots=True)
class PromptText:
    """A prompt as it is compared."""

    text: str
    """What the user last said."""
    name: str
    """Tells prompts apart: what was said up to the rollout, but for the system's words, which some
    templates add."""
    opens_reasoning: bool = False
    """Whether the prompt ends with a mark such as <think>, so that a rollout begins inside."""


def role_of(name: str) -> str:
    """The role that a name stands for: user, assistant, system or tool."""
    return ROLES.get(name.lower(), "tool")


def rollout_turns(text: str) -> list[Turn]:
    """A rollout as turns: most are one turn of the assistant; others hold tools' turns, too."""
    if "<" not in text and "[" not in text:
        return [Turn("assistant", text.strip())]
    first, turns = _split(text)
    if not first.strip() and not any(turn.role == "assistant" for turn in turns):
        # Others alone say nothing of the policy: the text only speaks of a template.
        return [Turn("assistant", _plain(text))]
    return [Turn("assistant", _plain(first)), *turns] if first else turns


def prompt_turns(text: str) -> list[Turn] | None:
    """A prompt as turns; None if it is not written in a chat template.

    It is if it begins with a header or a special token, or ends with the assistant's header. Then
    text before the first header is the system's, or the user's where the user has no other turn: a
    long prompt may be cut from the left.
    """
    if "<" not in text and "[" not in text:
        return None
    first, turns = _split(text)
    if all(turn.role == "tool" and is_blank(turn.words) for turn in turns):
        return None
    before = _plain(first)
    if is_blank(before):
        return turns
    begins = first.startswith("<s>") or ANYWHERE.match(text.lstrip()) is not None
    if not begins and not (turns[-1].role == "assistant" and _is_opening(turns[-1].words)):
        return None
    has_user = any(turn.role == "user" for turn in turns)
    return [Turn("system" if has_user else "user", before), *turns]


def read_prompt(prompt: str | Sequence[Turn]) -> PromptText:
    """The prompt as it is compared: of a text in a chat template, or of several turns, what the
    user last said."""
    if isinstance(prompt, str):
        turns = prompt_turns(prompt)
        if turns is None:
            text, opens = _before_reasoning(trimmed(prompt))
            return PromptText(text, text, opens)
        prompt = turns
    last = prompt[-1].text if prompt and prompt[-1].role == "assistant" else ""
    _, opens = _before_reasoning(last)
    said = [turn for turn in prompt if turn.role != "system" and not _is_opening(turn.words)]
    if len(said) == 1:
        return PromptText(said[0].words, said[0].words, opens)
    name = "\n\n".join(f"{turn.role}: {turn.words}" for turn in said)
    return PromptText(_last_user_turn(prompt), name, opens)


def _last_user_turn(turns: Sequence[Turn]) -> str:
    """What the user last said; everything that was said if there is no turn of the user."""
    runs = [
        "\n\n".join(turn.words for turn in run)
        for is_user, run in groupby(turns, lambda turn: turn.role == "user")
        if is_user
    ]
    return runs[-1] if runs else "\n\n".join(turn.words for turn in turns)


def _before_reasoning(text: str) -> tuple[str, bool]:
    """The text without a mark at its end that opens reasoning, and whether there is one."""
    opening = OPENED.search(text, max(0, len(text) - MAX_MARK_CHARS))
    return (text, False) if opening is None else (text[: opening.start()].rstrip(), True)


def _is_opening(text: str) -> bool:
    """Whether the assistant has said nothing yet but marks of reasoning."""
    parted = part_reasoning(text)
    return is_blank(parted.answer) and is_blank(parted.reasoning or "")


def _split(text: str) -> tuple[str, list[Turn]]:
    """The text before the first header, raw, and the turns after it."""
    before = text
    turns: list[Turn] = []
    for header, following in pairwise(chain(_headers(text), [None])):
        assert header is not None, "only the last one is followed by none"
        if not turns:
            before = text[: header.start()]
        end = len(text) if following is None else following.start()
        for turn in _turns(header, text[header.end() : end], last=following is None):
            # A blank turn after one of the same speaker adds nothing; hostile texts have thousands.
            if turn.words or not turns or turn.role != turns[-1].role:
                turns.append(turn)
    return before, turns


def _headers(text: str) -> Iterator[re.Match[str]]:
    in_instruction, end = False, len(text.rstrip())
    for header in HEADER.finditer(text):
        if (mark := header["mistral_end"]) is not None:
            # Without its beginning, [/INST] is a header only at the end: the prompt has been cut.
            if not in_instruction and (mark.upper() != "/INST" or header.end() < end):
                continue
            in_instruction = False
        elif header["mistral"] is not None:
            in_instruction = header["mistral"].upper() in ("INST", "TOOL_RESULTS")
        yield header


def _turns(header: re.Match[str], body: str, last: bool) -> list[Turn]:
    if header["author"] is not None or header["bare_channel"] is not None:
        return [_harmony(header, body, last)]
    role = role_of(next(name for name in header.groups() if name))
    text = _plain(body)
    if role == "user" and text.startswith("<<SYS>>"):
        system, mark, user = text.removeprefix("<<SYS>>").partition("<</SYS>>")
        if mark:
            return [Turn("system", system.strip()), Turn("user", user.strip())]
    if role == "user" and text.startswith(TOOL_RESPONSE):
        role = "tool"
    return [Turn(role, text)]


def _harmony(header: re.Match[str], body: str, last: bool) -> Turn:
    """A message of gpt-oss: its channel says whether the assistant reasons, calls or answers."""
    role = role_of(header["author"] or "assistant")
    channel = (header["channel"] or header["bare_channel"] or "").strip().lower()
    text = _plain(body)
    recipient = RECIPIENT.search(f"{header['to'] or ''} {channel}")
    if role == "assistant" and recipient is not None:
        return Turn(role, "", call_text(recipient[1], text))
    if role == "assistant" and channel.startswith("analysis"):
        unfinished = last and not body.rstrip().endswith(HARMONY_ENDS)
        return Turn(role, f"<think>\n{text}" if unfinished else f"<think>\n{text}\n</think>")
    return Turn(role, text)


def _plain(text: str) -> str:
    if "<|" in text:
        text = ANSWERS.sub("</think>", THINKS.sub("<think>", text))
    return without_special_tokens(text)
