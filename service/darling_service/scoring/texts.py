"""Which texts of a group are compared: its prompt and its rollouts, by the option `text`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from darling_models.texts.chat_templates import rollout_turns
from darling_models.texts.group import GroupTexts, group_texts, prompt_of, turns_of
from darling_models.texts.messages import Prompt, Response
from darling_models.texts.rule import TextRule, compared_text
from darling_service.off_loop import in_thread_if_long
from darling_service.schemas.requests import EquivalenceRequest, PromptGroup, Rollout, response_of
from darling_service.scoring.partitioning import PairTexts
from darling_service.scoring.published import published_text


def texts_of(
    group: PromptGroup, rule: TextRule, as_published: bool = False, with_reference: bool = False
) -> GroupTexts:
    """The texts of a group by the rule; `as_published`, as the published client sends them, without
    the prompt. `with_reference`: whether a judge is to see the group's reference."""
    responses = [response_of(rollout) for rollout in group.rollouts]
    if as_published:
        responses = [_as_sent(response) for response in responses]
    texts = group_texts(group.prompt, responses, rule)
    return replace(
        texts,
        prompt="" if as_published else texts.prompt,
        reference=group.reference if with_reference else None,
    )


def _as_sent(response: Response) -> str:
    """The response as the published client sends it, which has one text of every rollout."""
    whole = response if isinstance(response, str) else compared_text(turns_of(response), "all").text
    return published_text(whole)


async def texts_of_groups(
    groups: Sequence[PromptGroup],
    rule: TextRule,
    as_published: bool = False,
    with_reference: bool = False,
) -> list[GroupTexts]:
    """The texts of each group; many are read in a thread."""

    def read() -> list[GroupTexts]:
        return [texts_of(group, rule, as_published, with_reference) for group in groups]

    return await in_thread_if_long(read, words_of(groups))


def words_of(groups: Iterable[PromptGroup]) -> Iterator[Prompt | Response | None]:
    """The texts of the groups, for `in_thread_if_long`: prompts, responses and answers."""
    for group in groups:
        yield group.prompt
        for rollout in group.rollouts:
            yield response_of(rollout)
            if isinstance(rollout, Rollout):
                yield rollout.answer


async def texts_of_pairs(request: EquivalenceRequest) -> list[PairTexts]:
    """The texts of each pair; many are read in a thread."""

    def read() -> list[PairTexts]:
        texts = []
        for pair in request.pairs:
            prompt = prompt_of(pair.prompt)
            a, b = (
                compared_text(rollout_turns(text), request.text, prompt.opens_reasoning).text
                for text in (pair.a, pair.b)
            )
            texts.append(PairTexts(prompt.text, a, b, pair.reference))
        return texts

    return await in_thread_if_long(read, words_of_pairs(request))


def words_of_pairs(request: EquivalenceRequest) -> Iterator[Prompt]:
    """The prompts and the texts of the pairs, for `in_thread_if_long`."""
    for pair in request.pairs:
        yield from (pair.prompt, pair.a, pair.b)
