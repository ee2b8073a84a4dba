"""Which texts of a group are compared: its prompt and its rollouts, by the option `text`."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from darling_models.texts.chat_templates import rollout_turns
from darling_models.texts.group import GroupTexts, chars_of, group_texts, prompt_of, turns_of
from darling_models.texts.messages import Response
from darling_models.texts.rule import TextRule, compared_text
from darling_service.schemas.requests import EquivalenceRequest, PromptGroup, response_of
from darling_service.scoring.published import published_text

Answer = TypeVar("Answer")

READ_IN_THREAD_CHARS = 100_000
"""Characters in a request from which its texts are read in a thread: reading them takes 10 ms and
more, which the event loop owes to other requests."""
TEXT_COST_CHARS = 300
"""Characters that take as long to read as a text does beside its own: some 30 µs."""


def texts_of(group: PromptGroup, rule: TextRule, as_published: bool = False) -> GroupTexts:
    """The texts of a group by the rule; `as_published`, as the published client sends them, without
    the prompt."""
    responses = [response_of(rollout) for rollout in group.rollouts]
    if not as_published:
        return group_texts(group.prompt, responses, rule)
    sent = [_as_sent(response) for response in responses]
    return replace(group_texts(group.prompt, sent, rule), prompt="")


def _as_sent(response: Response) -> str:
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


async def in_thread_if_long(read: Callable[[], Answer], words: Iterable[Response]) -> Answer:
    """What `read` makes of the words; in a thread if it would hold up the event loop."""
    total = 0
    for one in words:
        total += chars_of(one) + TEXT_COST_CHARS
        if total > READ_IN_THREAD_CHARS:
            return await asyncio.to_thread(read)
    return read()
