"""What of a prompt and of its rollouts is compared, whatever form they come in."""

from collections.abc import Sequence
from dataclasses import dataclass

from darling_models.texts.chat_templates import (
    PromptText,
    Turn,
    prompt_turns,
    read_prompt,
    rollout_turns,
)
from darling_models.texts.messages import Prompt, Response, conversation_turns
from darling_models.texts.rule import TextRule, compared_text
from darling_models.texts.special_tokens import trimmed


@dataclass(frozen=True, slots=True)
class GroupTexts:
    """The texts of a group that are compared."""

    prompt: str
    prompt_name: str
    """Tells prompts apart, as what the user last said may not."""
    texts: list[str]
    """One for each rollout."""
    reasoning_dropped: int
    """Rollouts of which reasoning was left out."""
    reasoning_unfinished: int
    """Rollouts whose reasoning does not end: their answer is the empty text."""
    reference: str | None = None
    """The right answer, where a judge is to see it."""


def group_texts(prompt: Prompt, responses: Sequence[Response], rule: TextRule) -> GroupTexts:
    """The texts of a prompt and of the responses to it, by the rule."""
    asked = prompt_of(prompt)
    compared = [
        compared_text(turns_of(response), rule, asked.opens_reasoning) for response in responses
    ]
    fates = [one.reasoning for one in compared]
    return GroupTexts(
        asked.text,
        asked.name,
        [one.text for one in compared],
        reasoning_dropped=fates.count("dropped"),
        reasoning_unfinished=fates.count("unfinished"),
    )


def prompt_of(prompt: Prompt) -> PromptText:
    """The prompt as it is compared. A single message is the same as its text."""
    if isinstance(prompt, str):
        return read_prompt(prompt)
    if len(prompt) == 1 and isinstance(prompt[0].content, str):
        return read_prompt(prompt[0].content)
    return read_prompt(conversation_turns(prompt))


def conversation_of(prompt: Prompt) -> list[Turn]:
    """The prompt as turns, the last of them what the assistant has begun to say, if anything."""
    if not isinstance(prompt, str):
        return conversation_turns(prompt)
    turns = prompt_turns(prompt)
    return [Turn("user", trimmed(prompt))] if turns is None else turns


def turns_of(response: Response) -> list[Turn]:
    """What was said in a rollout, by the policy and others."""
    return rollout_turns(response) if isinstance(response, str) else conversation_turns(response)


def chars_of(words: Prompt | Response) -> int:
    """Number of characters in a text, or in the messages of a conversation."""
    return len(words) if isinstance(words, str) else sum(message.chars() for message in words)
