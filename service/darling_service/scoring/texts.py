"""Which texts of a group are compared: its prompt and its rollouts, by the option `text`."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from darling_models.texts.chat_templates import (
    PromptText,
    Turn,
    prompt_turns,
    read_prompt,
    rollout_turns,
)
from darling_models.texts.rule import TextRule, compared_text
from darling_models.texts.special_tokens import trimmed
from darling_service.schemas.messages import ChatMessage, conversation_turns
from darling_service.schemas.requests import EquivalenceRequest, Prompt, PromptGroup, response_of
from darling_service.scoring.published import published_text

Answer = TypeVar("Answer")

READ_IN_THREAD_CHARS = 100_000
"""Characters in a request from which its texts are read in a thread: reading them takes 10 ms and
more, which the event loop owes to other requests."""
TEXT_COST_CHARS = 300
"""Characters that take as long to read as a text does beside its own: some 30 µs."""


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


def chars_of(words: str | Sequence[ChatMessage]) -> int:
    """Number of characters in a text, or in the messages of a conversation."""
    return len(words) if isinstance(words, str) else sum(message.chars() for message in words)


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


def turns_of(response: str | Sequence[ChatMessage]) -> list[Turn]:
    """What was said in a rollout, by the policy and others."""
    return rollout_turns(response) if isinstance(response, str) else conversation_turns(response)


def texts_of(group: PromptGroup, rule: TextRule, as_published: bool = False) -> GroupTexts:
    """The texts of a group by the rule; `as_published`, as the published client sends them, without
    the prompt."""
    prompt = prompt_of(group.prompt)
    responses = [response_of(rollout) for rollout in group.rollouts]
    if as_published:
        responses = [_as_sent(response) for response in responses]
    compared = [
        compared_text(turns_of(response), rule, prompt.opens_reasoning) for response in responses
    ]
    fates = [one.reasoning for one in compared]
    return GroupTexts(
        "" if as_published else prompt.text,
        prompt.name,
        [one.text for one in compared],
        reasoning_dropped=fates.count("dropped"),
        reasoning_unfinished=fates.count("unfinished"),
    )


def _as_sent(response: str | Sequence[ChatMessage]) -> str:
    """The response as the published client sends it, which has one text of every rollout."""
    whole = response if isinstance(response, str) else compared_text(turns_of(response), "all").text
    return published_text(whole)


async def texts_of_groups(
    groups: Sequence[PromptGroup], rule: TextRule, as_published: bool = False
) -> list[GroupTexts]:
    """The texts of each group; many are read in a thread."""

    def read() -> list[GroupTexts]:
        return [texts_of(group, rule, as_published) for group in groups]

    words = (response_of(rollout) for group in groups for rollout in group.rollouts)
    return await in_thread_if_long(read, words)


async def texts_of_pairs(request: EquivalenceRequest) -> list[tuple[str, str, str]]:
    """(prompt, a, b) of each pair; many are read in a thread."""

    def read() -> list[tuple[str, str, str]]:
        triples = []
        for pair in request.pairs:
            prompt = prompt_of(pair.prompt)
            a, b = (
                compared_text(rollout_turns(text), request.text, prompt.opens_reasoning).text
                for text in (pair.a, pair.b)
            )
            triples.append((prompt.text, a, b))
        return triples

    return await in_thread_if_long(read, (t for pair in request.pairs for t in (pair.a, pair.b)))


async def in_thread_if_long(
    read: Callable[[], Answer], words: Iterable[str | Sequence[ChatMessage]]
) -> Answer:
    """What `read` makes of the words; in a thread if it would hold up the event loop."""
    total = 0
    for one in words:
        total += chars_of(one) + TEXT_COST_CHARS
        if total > READ_IN_THREAD_CHARS:
            return await asyncio.to_thread(read)
    return read()
